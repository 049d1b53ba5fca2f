using Grpc.AspNetCore.Server;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection
{
    public static class GrpcServicesExtensions
    {
        /// <summary>Registers what <c>MapGrpcService</c> needs.</summary>
        public static IGrpcServerBuilder AddGrpc(this IServiceCollection services)
        {
            ArgumentNullException.ThrowIfNull(services);
            services.AddRouting();
            services.AddOptions();
            services.TryAddSingleton<MappedServices>();
            services.TryAddSingleton<ActiveCalls>();
            return new GrpcServerBuilder(services);
        }

        /// <inheritdoc cref="AddGrpc(IServiceCollection)"/>
        public static IGrpcServerBuilder AddGrpc(this IServiceCollection services, Action<GrpcServiceOptions> configureOptions)
        {
            ArgumentNullException.ThrowIfNull(services);
            ArgumentNullException.ThrowIfNull(configureOptions);
            var builder = services.AddGrpc();
            services.Configure(configureOptions);
            return builder;
        }

        /// <summary>Sets options for one service, after those of all services.</summary>
        public static IGrpcServerBuilder AddServiceOptions<TService>(this IGrpcServerBuilder grpcBuilder, Action<GrpcServiceOptions<TService>> configure)
            where TService : class
        {
            ArgumentNullException.ThrowIfNull(grpcBuilder);
            grpcBuilder.Services.Configure(configure);
            return grpcBuilder;
        }
    }
}

namespace Grpc.AspNetCore.Server
{
    using Microsoft.Extensions.DependencyInjection;

    public interface IGrpcServerBuilder
    {
        IServiceCollection Services { get; }
    }

    internal sealed class GrpcServerBuilder(IServiceCollection services) : IGrpcServerBuilder
    {
        public IServiceCollection Services { get; } = services;
    }
}
