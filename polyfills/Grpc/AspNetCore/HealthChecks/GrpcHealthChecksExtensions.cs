using Grpc.AspNetCore.HealthChecks;
using Grpc.HealthCheck;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Microsoft.Extensions.DependencyInjection
{
    public static class GrpcHealthChecksServiceExtensions
    {
        /// <summary>Answers <c>grpc.health.v1.Health</c> from ASP.NET Core's health checks; all of them make up the server's own state, service "".</summary>
        public static IHealthChecksBuilder AddGrpcHealthChecks(this IServiceCollection services)
        {
            ArgumentNullException.ThrowIfNull(services);
            services.TryAddSingleton<HealthServiceImpl>();
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IHealthCheckPublisher, GrpcHealthChecksPublisher>());
            services.Configure<GrpcHealthChecksOptions>(options => options.Services.Map("", _ => true));
            return services.AddHealthChecks();
        }

        /// <inheritdoc cref="AddGrpcHealthChecks(IServiceCollection)"/>
        public static IHealthChecksBuilder AddGrpcHealthChecks(this IServiceCollection services, Action<GrpcHealthChecksOptions> configure)
        {
            ArgumentNullException.ThrowIfNull(configure);
            var builder = services.AddGrpcHealthChecks();
            services.Configure(configure);  // after the default mapping, so that it can replace it
            return builder;
        }
    }
}

namespace Microsoft.AspNetCore.Builder
{
    public static class GrpcHealthChecksEndpointRouteBuilderExtensions
    {
        /// <exception cref="InvalidOperationException"><c>AddGrpcHealthChecks</c> was not called.</exception>
        public static GrpcServiceEndpointConventionBuilder MapGrpcHealthChecksService(this IEndpointRouteBuilder builder)
        {
            ArgumentNullException.ThrowIfNull(builder);
            if (builder.ServiceProvider.GetService<HealthServiceImpl>() is null)
                throw new InvalidOperationException("Unable to find the required services. Call AddGrpcHealthChecks() on the service collection first.");
            return builder.MapGrpcService<HealthChecksService>();
        }
    }
}
