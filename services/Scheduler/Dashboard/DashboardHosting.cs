using Cluster.Scheduler.Api;

namespace Cluster.Scheduler.Dashboard;

/// <summary>Registers and maps the web pages and what they read.</summary>
public static class DashboardHosting
{
    /// <summary>Where the pages lie, beside the program.</summary>
    public static string WebRoot { get; } = Path.Combine(AppContext.BaseDirectory, "Dashboard", "wwwroot");

    public static IServiceCollection AddDashboard(this IServiceCollection services) =>
        services.AddSingleton<JobStreams>().AddSingleton<ExperimentStreams>();

    public static void MapDashboard(this WebApplication app)
    {
        app.UseDefaultFiles();
        app.UseStaticFiles(new StaticFileOptions
        {
            OnPrepareResponse = response =>
            {
                // The pages change with the program; a browser asks each time whether they did.
                response.Context.Response.Headers.CacheControl = "no-cache";
                response.Context.Response.Headers.XContentTypeOptions = "nosniff";
                response.Context.Response.Headers.ContentSecurityPolicy =
                    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
            },
        });
        app.MapSession();
        app.UseWebSockets();
        app.MapGet("/api/jobs/stream", (JobStreams streams) =>
            new EventStream(token => Task.FromResult(streams.JobsAsync(token)))).RequireViewer();
        app.MapGet("/api/jobs/{job}/stream", (string job, JobLookup lookup, JobStreams streams) =>
            new EventStream(async token => streams.JobAsync(await lookup.FindAsync(job, token), token))).RequireViewer();
        app.MapGet("/api/experiments/{experiment}/stream", (string experiment, ExperimentLookup lookup, ExperimentStreams streams) =>
            new EventStream(async token => streams.ExperimentAsync(await lookup.FindAsync(experiment, token), token))).RequireViewer();
    }
}
