using Cluster.Scheduler.Api;
using Cluster.Scheduler.Dashboard;
using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Reconciliation;
using Cluster.Scheduler.Telemetry;
using Orleans.Hosting;

namespace Cluster.Scheduler;

internal static class Program
{
    private static Task Main(string[] args) => Build(args).RunAsync();

    /// <param name="replace">For tests: called when all is registered, to put something else in a part's place.</param>
    internal static WebApplication Build(string[] args, Action<WebApplicationBuilder>? replace = null)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            Args = args,
            // Started from anywhere, it finds its settings and pages beside itself.
            ContentRootPath = AppContext.BaseDirectory,
            WebRootPath = DashboardHosting.WebRoot,
        });
        builder.ListenAsConfigured();
        // Hosted services start in this order: the schema before the grains, the grains before the first call.
        builder.Services.AddHostedService<TelemetryExport>();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddPersistence(builder.Configuration);
        builder.Services.AddJobs(builder.Configuration);
        builder.Services.AddNodes(builder.Configuration);
        builder.Services.AddModels(builder.Configuration);
        builder.UseOrleans(silo => silo.AddActivityPropagation());
        builder.Services.AddReconciliation(builder.Configuration);
        builder.Services.AddApi(builder.Configuration);
        builder.Services.AddDashboard();
        builder.Services.AddProbes();
        replace?.Invoke(builder);

        var app = builder.Build();
        app.UseCallSpans();
        app.MapApi();
        app.MapDashboard();
        app.MapProbes();
        return app;
    }
}
