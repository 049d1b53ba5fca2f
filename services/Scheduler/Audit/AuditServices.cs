namespace Cluster.Scheduler.Audit;

public static class AuditServices
{
    public static IServiceCollection AddAudit(this IServiceCollection services)
    {
        services.AddSingleton<AuditStore>();
        services.AddSingleton<AuditLog>();
        services.AddSingleton<RefusedCertificates>();
        services.AddHostedService(provider => provider.GetRequiredService<AuditLog>());
        return services;
    }
}
