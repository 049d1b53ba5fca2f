using System.Net.ServerSentEvents;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Dashboard;

/// <summary>Registers and maps the web pages and what they read.</summary>
public static class DashboardHosting
{
    /// <summary>Where the pages lie, beside the program.</summary>
    public static string WebRoot { get; } = Path.Combine(AppContext.BaseDirectory, "Dashboard", "wwwroot");

    public static IServiceCollection AddDashboard(this IServiceCollection services) => services.AddSingleton<JobStreams>().AddSingleton<ExperimentStreams>();

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
        app.MapGet("/api/jobs/stream", (JobStreams streams, CancellationToken cancellationToken) =>
            TypedResults.ServerSentEvents(streams.JobsAsync(cancellationToken))).RequireViewer();
        app.MapGet("/api/jobs/{job}/stream", (string job, JobLookup lookup, JobStreams streams, CancellationToken cancellationToken) =>
            StreamAsync(async () => streams.JobAsync(await lookup.FindAsync(job, cancellationToken), cancellationToken))).RequireViewer();
        app.MapGet("/api/experiments/{experiment}/stream",
            (string experiment, ExperimentLookup lookup, ExperimentStreams streams, CancellationToken cancellationToken) =>
                StreamAsync(async () => streams.ExperimentAsync(await lookup.FindAsync(experiment, cancellationToken), cancellationToken))).RequireViewer();
    }

    private static async Task<IResult> StreamAsync(Func<Task<IAsyncEnumerable<SseItem<string>>>> open)
    {
        try
        {
            return TypedResults.ServerSentEvents(await open());
        }
        catch (Exception fault) when (fault is JobNotFoundException or ExperimentNotFoundException or InvalidRequestException)
        {
            return Results.Problem(fault.Message, statusCode: StatusCodes.Status404NotFound);
        }
    }
}
