using Cluster.Contracts.Access;
using Cluster.Contracts.JobFiles;
using Cluster.Dashboard.Access;
using Cluster.Dashboard.Checkpoints;
using Cluster.Dashboard.Connection;
using Cluster.Dashboard.Hosting;
using Cluster.Dashboard.Jobs;
using Cluster.Dashboard.Layout;
using Cluster.Dashboard.Reports;
using Cluster.Dashboard.Runs;
using Microsoft.FluentUI.AspNetCore.Components;

namespace Cluster.Dashboard;

internal static class Program
{
    private const int LargestMessage = 6 * JobFile.MaxBytes;

    private static async Task Main(string[] args)
    {
        DirectLoopback.Install();
        await Build(args).RunAsync();
    }

    private static WebApplication Build(string[] args)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            Args = args,
            // Started from anywhere, it finds its settings and files beside itself.
            ContentRootPath = AppContext.BaseDirectory,
        });
        // As built, its files lie in the packages and the repository; as published, beside it.
        builder.WebHost.UseStaticWebAssets();
        builder.ListenAsConfigured();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSessions(builder.Configuration);
        builder.Services.AddSchedulers();
        builder.Services.AddSingleton<JobBoards>();
        builder.Services.AddScoped<BrowserClock>();
        builder.Services.AddFluentUIComponents();
        // A job file comes whole from its page, each of its characters escaped at worst.
        builder.Services.AddRazorComponents().AddInteractiveServerComponents()
            .AddHubOptions(hub => hub.MaximumReceiveMessageSize = LargestMessage);
        builder.Services.AddHealthChecks();

        var app = builder.Build();
        app.UsePageHeaders();
        app.UseStatusCodePagesWithReExecute("/not-found", createScopeForStatusCodePages: true);
        app.UseSameOrigin();
        app.UseNewSessions();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseAntiforgery();
        app.MapStaticAssets().AllowAnonymous();
        app.MapSessions();
        app.MapRunsFile();
        app.MapReportFile();
        app.MapWeights();
        // It says that this process answers, and nothing of the schedulers: the pages are there to say that these are away.
        app.MapHealthChecks("/healthz/live").AllowAnonymous();
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(options => options.ContentSecurityFrameAncestorsPolicy = "'none'");
        return app;
    }
}
