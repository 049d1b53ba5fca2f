using Cluster.Scheduler.Api;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Dashboard;

/// <summary>Registers and maps the web pages and what they read.</summary>
public static class DashboardHosting
{
    /// <summary>Where the pages lie, beside the program.</summary>
    public static string WebRoot { get; } = Path.Combine(AppContext.BaseDirectory, "Dashboard", "wwwroot");

    public static IServiceCollection AddDashboard(this IServiceCollection services) => services.AddSingleton<JobStreams>();

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
        app.MapGet("/api/jobs/{job}/stream", async (string job, JobLookup lookup, JobStreams streams, CancellationToken cancellationToken) =>
        {
            try
            {
                var id = await lookup.FindAsync(job, cancellationToken);
                return (IResult)TypedResults.ServerSentEvents(streams.JobAsync(id, cancellationToken));
            }
            catch (Exception fault) when (fault is JobNotFoundException or InvalidRequestException)
            {
                return Results.Problem(fault.Message, statusCode: StatusCodes.Status404NotFound);
            }
        }).RequireViewer();
    }
}
