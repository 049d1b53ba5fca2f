namespace Cluster.Scheduler.Reports;

/// <summary>Registers what sums up over time.</summary>
public static class ReportServices
{
    public static IServiceCollection AddReports(this IServiceCollection services) => services.AddSingleton<DeviceHoursReport>();
}
