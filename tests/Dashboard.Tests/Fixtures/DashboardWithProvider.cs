using Cluster.Tests.Shared;

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>A dashboard whose visitors an OpenID Connect provider may sign in.</summary>
public sealed class DashboardWithProvider : IAsyncLifetime
{
    // Of the dashboard's appsettings.json, each of which has a level of its own.
    private static readonly string[] Categories =
        ["Default", "Microsoft", "Microsoft.Hosting.Lifetime", "Microsoft.AspNetCore.DataProtection", "Grpc", "System.Net.Http"];

    private readonly FakeScheduler _scheduler = new(FreePorts.Take());
    private readonly TestProvider _provider = new();
    private readonly List<string> _secrets = [];
    private DashboardProcess _dashboard = null!;

    public string Address => _dashboard.Address;

    public async ValueTask InitializeAsync()
    {
        await _scheduler.StartAsync();
        await _provider.StartAsync(TestContext.Current.CancellationToken);
        _dashboard = await StartAsync(TestProvider.ClientSecret);
    }

    /// <summary>Another one, which logs all that it can.</summary>
    /// <param name="clientSecret">By which it shows the provider who it is.</param>
    internal Task<DashboardProcess> StartTalkativeAsync(string clientSecret) =>
        StartAsync(clientSecret, [.. Categories.Select(category => ($"Logging__LogLevel__{category}", "Trace"))]);

    public async ValueTask DisposeAsync()
    {
        if (_dashboard is not null)
            await _dashboard.DisposeAsync();
        await _provider.DisposeAsync();
        await _scheduler.DisposeAsync();
        _secrets.ForEach(File.Delete);
    }

    private async Task<DashboardProcess> StartAsync(string clientSecret, params (string Variable, string Value)[] settings)
    {
        var file = Path.GetTempFileName();
        _secrets.Add(file);
        await File.WriteAllTextAsync(file, clientSecret + "\n", TestContext.Current.CancellationToken);
        return await DashboardProcess.StartAsync(
            _scheduler.Address,
            [
                ("IdentityProvider__Authority", _provider.Address), ("IdentityProvider__ClientId", TestProvider.ClientId),
                ("IdentityProvider__ClientSecretFile", file), .. settings,
            ]);
    }
}
