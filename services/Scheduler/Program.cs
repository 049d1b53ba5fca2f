using Cluster.Contracts.Access;
using Cluster.Hosting;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Audit;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Limits;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Reconciliation;
using Cluster.Scheduler.Reports;
using Cluster.Scheduler.Retention;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Searches;
using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Telemetry;
using Cluster.Scheduler.Webhooks;
using Orleans.Runtime;

namespace Cluster.Scheduler;

internal static class Program
{
    // Beyond what the host gives its services to stop in.
    private static readonly TimeSpan LongestStop = TimeSpan.FromSeconds(40);

    private static async Task Main(string[] args)
    {
        if (args is ["migrate", .. var settings])
        {
            await MigrateAsync(settings);
            return;
        }

        DirectLoopback.Install();
        // Not in Build: where tests host a scheduler, the process is theirs.
        var app = Build(args, builder => builder.Services.AddSingleton<IFatalErrorHandler, BeginAnew>());
        var stopping = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        app.Lifetime.ApplicationStopping.Register(stopping.SetResult);
        var running = app.RunAsync();
        await Task.WhenAny(running, stopping.Task);
        // A silo takes its leave in Postgres and tries without end where that is away; the process ends all the same.
        await running.WaitAsync(LongestStop);
    }

    /// <summary>Brings the schema up to this program and ends: for an upgrade, before the new version's first scheduler starts.</summary>
    internal static async Task MigrateAsync(string[] args)
    {
        var builder = Host.CreateApplicationBuilder(
            new HostApplicationBuilderSettings { Args = args, ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddPersistence(builder.Configuration);
        using var host = builder.Build();
        // Its one service migrates.
        await host.StartAsync();
        await host.StopAsync();
    }

    /// <param name="replace">Called when all is registered, to put something else in a part's place.</param>
    internal static WebApplication Build(string[] args, Action<WebApplicationBuilder>? replace = null)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            Args = args,
            // Started from anywhere, it finds its settings beside itself.
            ContentRootPath = AppContext.BaseDirectory,
        });
        builder.Services.AddTls(mutual: true);
        builder.Services.AddLimits();
        builder.ListenAsConfigured();
        // Hosted services start in this order: the schema before the grains, the grains before the first call.
        builder.AddTelemetry();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddPersistence(builder.Configuration);
        builder.Services.AddCheckpoints(builder.Configuration);
        builder.Services.AddLogs(builder.Configuration);
        builder.Services.AddRuns();
        builder.Services.AddQueues();
        builder.Services.AddReports();
        builder.Services.AddJobs(builder.Configuration);
        builder.Services.AddRanks();
        builder.Services.AddExperiments();
        builder.Services.AddNodes(builder.Configuration);
        builder.Services.AddModels(builder.Configuration);
        builder.Services.AddSubmissions();
        builder.AddSilo();
        builder.Services.AddReconciliation(builder.Configuration);
        builder.Services.AddSearches();
        builder.Services.AddWebhooks(builder.Configuration);
        builder.Services.AddAudit();
        builder.Services.AddRetention(builder.Configuration);
        builder.Services.AddApi(builder.Configuration);
        builder.Services.AddProbes();
        replace?.Invoke(builder);

        var app = builder.Build();
        app.MapApi();
        app.MapProbes();
        return app;
    }
}
