using Cluster.Contracts.Access;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Limits;

namespace Cluster.Scheduler.Api;

/// <summary>Registers and maps the gRPC API.</summary>
public static class ApiHosting
{
    public static IServiceCollection AddApi(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<AccessOptions>().Bind(configuration.GetSection(AccessOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton<TokenStore>();
        services.AddSingleton<TokenRegister>();
        services.AddSingleton<RefusalLog>();
        services.AddHostedService<TokenBootstrap>();
        services.AddSingleton<JobLookup>();
        services.AddSingleton<JobWatch>();
        services.AddSingleton<ExperimentLookup>();
        services.AddSingleton<ExperimentWatch>();
        // Errors outermost, so that what the token check throws is mapped too.
        services.AddGrpc(options =>
        {
            options.Interceptors.Add<ErrorInterceptor>();
            options.Interceptors.Add<NodeCertificateInterceptor>();
            options.Interceptors.Add<ScopeInterceptor>();
            options.Interceptors.Add<LimitInterceptor>();
        }).AddJsonTranscoding();
        services.AddOpenApi(options => options.AddDocumentTransformer(new RestDocument(RequiredScope.Services())));
        services.AddGrpcReflection();
        services.AddGrpcHealthChecks();
        return services;
    }

    public static void MapApi(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<JobsEndpoint>();
        endpoints.MapGrpcService<ExperimentsEndpoint>();
        endpoints.MapGrpcService<RunsEndpoint>();
        endpoints.MapGrpcService<CheckpointsEndpoint>();
        endpoints.MapGrpcService<DataEndpoint>();
        endpoints.MapGrpcService<NodesEndpoint>();
        endpoints.MapGrpcService<QueuesEndpoint>();
        endpoints.MapGrpcService<ReportsEndpoint>();
        endpoints.MapGrpcService<ModelsEndpoint>();
        endpoints.MapGrpcService<WebhooksEndpoint>();
        endpoints.MapGrpcService<AgentsEndpoint>();
        endpoints.MapGrpcService<AttemptsEndpoint>();
        endpoints.MapOpenApi();
        endpoints.MapGrpcReflectionService();
        endpoints.MapGrpcHealthChecksService();
        // Kestrel waits for calls to end before it stops, so those that wait for a job's next change are told to.
        var services = endpoints.ServiceProvider;
        services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.Register(services.GetRequiredService<JobFeed>().Close);
    }
}
