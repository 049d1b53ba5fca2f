using Cluster.Contracts.Access;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Audit;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Limits;
using Cluster.Scheduler.Workspaces;

namespace Cluster.Scheduler.Api;

/// <summary>Registers and maps the gRPC API.</summary>
public static class ApiHosting
{
    public static IServiceCollection AddApi(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<AccessOptions>().Bind(configuration.GetSection(AccessOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddOptions<IdentityProviderOptions>().Bind(configuration.GetSection(IdentityProviderOptions.SectionName))
            .ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<IdentityProvider>();
        services.AddSingleton<TokenStore>();
        services.AddSingleton<TokenFiles>();
        services.AddSingleton<TokenRegister>();
        services.AddSingleton<AccessRefresh>();
        services.AddSingleton<IDatabaseListener>(provider => provider.GetRequiredService<AccessRefresh>());
        services.AddHostedService(provider => provider.GetRequiredService<AccessRefresh>());
        services.AddSingleton<NodeEnrollments>();
        services.AddSingleton<AttemptAdmission>();
        services.AddSingleton<RefusalLog>();
        services.AddSingleton<JobLookup>();
        services.AddSingleton<JobWatch>();
        services.AddSingleton<ExperimentLookup>();
        services.AddSingleton<ExperimentWatch>();
        services.AddSingleton<WorkspaceStore>();
        services.AddSingleton<WorkspaceDirectory>();
        services.AddSingleton<WorkspaceRule>();
        services.AddSingleton<JobMentions>();
        services.AddSingleton<StreamSubjects>();
        // The audit sees how each call ended, so it is outermost. What is thrown, by the token check too, has become a status before its
        // words are looked through.
        services.AddGrpc(options =>
        {
            options.Interceptors.Add<AuditInterceptor>();
            options.Interceptors.Add<HiddenJobInterceptor>();
            options.Interceptors.Add<ErrorInterceptor>();
            options.Interceptors.Add<NodeCertificateInterceptor>();
            options.Interceptors.Add<ScopeInterceptor>();
            options.Interceptors.Add<StreamInterceptor>();
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
        endpoints.MapGrpcService<TokensEndpoint>();
        endpoints.MapGrpcService<AuditEndpoint>();
        endpoints.MapGrpcService<WorkspacesEndpoint>();
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
