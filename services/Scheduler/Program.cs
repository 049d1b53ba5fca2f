using Cluster.Contracts.Access;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Audit;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Reconciliation;
using Cluster.Scheduler.Retention;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Searches;
using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Telemetry;
using Orleans.Runtime;

namespace Cluster.Scheduler;

internal static class Program
{
    // Beyond what the host gives its services to stop in.
    private static readonly TimeSpan LongestStop = TimeSpan.FromSeconds(40);

    private static async Task Main(string[] args)
    {
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

    /// <param name="replace">Called when all is registered, to put something else in a part's place.</param>
    internal static WebApplication Build(string[] args, Action<WebApplicationBuilder>? replace = null)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            Args = args,
            // Started from anywhere, it finds its settings beside itself.
            ContentRootPath = AppContext.BaseDirectory,
        });
        builder.ListenAsConfigured();
        // Hosted services start in this order: the schema before the grains, the grains before the first call.
        builder.AddTelemetry();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddPersistence(builder.Configuration);
        builder.Services.AddCheckpoints(builder.Configuration);
        builder.Services.AddLogs(builder.Configuration);
        builder.Services.AddRuns();
        builder.Services.AddQueues();
        builder.Services.AddJobs(builder.Configuration);
        builder.Services.AddRanks();
        builder.Services.AddExperiments();
        builder.Services.AddNodes(builder.Configuration);
        builder.Services.AddModels(builder.Configuration);
        builder.Services.AddSubmissions();
        builder.AddSilo();
        builder.Services.AddReconciliation(builder.Configuration);
        builder.Services.AddSearches();
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
