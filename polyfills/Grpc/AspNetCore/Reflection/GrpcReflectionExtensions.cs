using Grpc.AspNetCore.Server;
using Grpc.Reflection;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection
{
    public static class GrpcReflectionServiceExtensions
    {
        /// <summary>Lets clients ask the server which services it has and how their messages look.</summary>
        public static IServiceCollection AddGrpcReflection(this IServiceCollection services)
        {
            ArgumentNullException.ThrowIfNull(services);
            services.AddGrpc();
            services.TryAddSingleton<ReflectionAnswers>();
            return services;
        }
    }
}

namespace Microsoft.AspNetCore.Builder
{
    public static class GrpcReflectionEndpointRouteBuilderExtensions
    {
        /// <summary>Serves <c>grpc.reflection.v1</c> and <c>v1alpha</c> over every service that is mapped by the first question.</summary>
        /// <exception cref="InvalidOperationException"><c>AddGrpcReflection</c> was not called.</exception>
        public static IEndpointConventionBuilder MapGrpcReflectionService(this IEndpointRouteBuilder builder)
        {
            ArgumentNullException.ThrowIfNull(builder);
            if (builder.ServiceProvider.GetService<ReflectionAnswers>() is null)
                throw new InvalidOperationException("Unable to find the required services. Call AddGrpcReflection() on the service collection first.");
            return new GrpcServiceEndpointConventionBuilder(
                [builder.MapGrpcService<ReflectionV1Service>(), builder.MapGrpcService<ReflectionV1AlphaService>()]);
        }
    }
}
