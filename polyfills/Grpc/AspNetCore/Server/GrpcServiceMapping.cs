using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder
{
    public static class GrpcEndpointRouteBuilderExtensions
    {
        /// <summary>Routes <c>POST /package.Service/Method</c> to one instance of <typeparamref name="TService"/> a call.</summary>
        /// <exception cref="InvalidOperationException"><c>AddGrpc</c> was not called, or the type does not derive from a generated base class.</exception>
        public static GrpcServiceEndpointConventionBuilder MapGrpcService<TService>(this IEndpointRouteBuilder builder)
            where TService : class
        {
            ArgumentNullException.ThrowIfNull(builder);
            var services = builder.ServiceProvider.GetService<MappedServices>()
                ?? throw new InvalidOperationException("Unable to find the required services. Call AddGrpc() on the service collection first.");
            return new GrpcServiceEndpointConventionBuilder(services.Map<TService>(builder));
        }
    }

    /// <summary>Applies conventions, such as authorization, to every method of one service.</summary>
    public sealed class GrpcServiceEndpointConventionBuilder : IEndpointConventionBuilder
    {
        private readonly List<IEndpointConventionBuilder> endpoints;

        internal GrpcServiceEndpointConventionBuilder(IEnumerable<IEndpointConventionBuilder> endpoints) => this.endpoints = [.. endpoints];

        public void Add(Action<EndpointBuilder> convention) => endpoints.ForEach(endpoint => endpoint.Add(convention));

        public void Finally(Action<EndpointBuilder> finallyConvention) => endpoints.ForEach(endpoint => endpoint.Finally(finallyConvention));
    }
}

namespace Grpc.AspNetCore.Server
{
    /// <summary>On each gRPC endpoint: which RPC of which service class it serves.</summary>
    public sealed class GrpcMethodMetadata(Type serviceType, IMethod method)
    {
        public Type ServiceType { get; } = serviceType;

        public IMethod Method { get; } = method;
    }
}

namespace Grpc.Core
{
    public static class ServerCallContextExtensions
    {
        /// <summary>The HTTP request behind a call.</summary>
        /// <exception cref="InvalidOperationException">The call does not run on ASP.NET Core.</exception>
        public static HttpContext GetHttpContext(this ServerCallContext serverCallContext)
        {
            ArgumentNullException.ThrowIfNull(serverCallContext);
            return serverCallContext is HttpServerCallContext call
                ? call.HttpContext
                : serverCallContext.UserState.TryGetValue(HttpServerCallContext.HttpContextKey, out var http) && http is HttpContext context
                    ? context
                    : throw new InvalidOperationException("Could not get HttpContext from ServerCallContext.");
        }
    }
}
