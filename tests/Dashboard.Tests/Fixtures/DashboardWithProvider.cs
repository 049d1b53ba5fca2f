using Cluster.Tests.Shared;

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>A dashboard whose visitors an OpenID Connect provider may sign in.</summary>
public sealed class DashboardWithProvider : IAsyncLifetime
{
    private readonly FakeScheduler _scheduler = new(FreePorts.Take());
    private readonly TestProvider _provider = new();
    private readonly string _secret = Path.GetTempFileName();
    private DashboardProcess _dashboard = null!;

    public string Address => _dashboard.Address;

    public async ValueTask InitializeAsync()
    {
        var cancelled = TestContext.Current.CancellationToken;
        await _scheduler.StartAsync();
        await _provider.StartAsync(cancelled);
        await File.WriteAllTextAsync(_secret, TestProvider.ClientSecret + "\n", cancelled);
        _dashboard = await DashboardProcess.StartAsync(
            _scheduler.Address, ("IdentityProvider__Authority", _provider.Address), ("IdentityProvider__ClientId", TestProvider.ClientId),
            ("IdentityProvider__ClientSecretFile", _secret));
    }

    public async ValueTask DisposeAsync()
    {
        if (_dashboard is not null)
            await _dashboard.DisposeAsync();
        await _provider.DisposeAsync();
        await _scheduler.DisposeAsync();
        File.Delete(_secret);
    }
}
