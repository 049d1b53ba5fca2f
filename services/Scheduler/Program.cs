using Cluster.Scheduler.Api;
using Cluster.Scheduler.Dashboard;
using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Reconciliation;
using Cluster.Scheduler.Telemetry;
using Orleans.Hosting;

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
builder.UseOrleans(silo => silo.AddActivityPropagation());
builder.Services.AddReconciliation(builder.Configuration);
builder.Services.AddApi(builder.Configuration);
builder.Services.AddDashboard();
builder.Services.AddProbes();

var app = builder.Build();
app.UseCallSpans();
app.MapApi();
app.MapDashboard();
app.MapProbes();
await app.RunAsync();
