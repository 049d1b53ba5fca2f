namespace Cluster.Dashboard.Connection;

internal static class Connecting
{
    public static IServiceCollection AddSchedulers(this IServiceCollection services) =>
        services.AddSingleton<SchedulerConnection>().AddScoped<Caller>();
}
