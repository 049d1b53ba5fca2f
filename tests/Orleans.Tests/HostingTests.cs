using Cluster.Orleans.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Orleans;
using Orleans.Configuration;
using Orleans.Hosting;
using Orleans.Runtime;

namespace Cluster.Orleans.Tests;

public sealed class HostingTests
{
    [Theory]
    [InlineData("AdoNet")]
    [InlineData("Redis")]
    public async Task Start_WithClusteringOfSeveralMachines_IsRefusedByName(string provider)
    {
        using var host = TestSilo.Build(null, ("Orleans:Clustering:ProviderType", provider), ("Orleans:Clustering:Invariant", "Npgsql"));

        var exception = await Should.ThrowAsync<OrleansConfigurationException>(host.StartAsync(TestContext.Current.CancellationToken));

        exception.Message.ShouldContain($"'{provider}'");
        exception.Message.ShouldContain("PackageSet=nuget");
    }

    [Fact]
    public async Task Start_WithDevelopmentClustering_Works()
    {
        await using var silo = await TestSilo.StartAsync(null, ("Orleans:Clustering:ProviderType", "Development"));

        await silo.Grains.GetGrain<ICounterGrain>(1).IncrementAsync(0);
    }

    [Fact]
    public async Task Start_WithAFeatureThatIsAbsentHere_IsRefusedByName()
    {
        using var host = TestSilo.Build(null, ("Orleans:GrainStorage:Default:ProviderType", "AdoNet"));

        (await Should.ThrowAsync<OrleansConfigurationException>(host.StartAsync(TestContext.Current.CancellationToken))).Message.ShouldContain("Orleans:GrainStorage");
    }

    [Fact]
    public async Task Start_WithACollectionAgeBelowTheQuantum_IsRefused()
    {
        using var host = TestSilo.Build(silo => silo.Configure<GrainCollectionOptions>(options => options.CollectionAge = TimeSpan.FromSeconds(59)));

        (await Should.ThrowAsync<OrleansConfigurationException>(host.StartAsync(TestContext.Current.CancellationToken))).Message.ShouldContain("CollectionAge is 00:00:59");
    }

    [Fact]
    public void UseLocalhostClustering_WithAnotherSilo_IsRefused() =>
        Should.Throw<OrleansConfigurationException>(() => TestSilo.Build(silo => silo.UseLocalhostClustering(primarySiloEndpoint: new(System.Net.IPAddress.Loopback, 11111))))
            .Message.ShouldContain("127.0.0.1:11111");

    [Fact]
    public void UseOrleans_ReadsItsSettings_AndTwiceIsTheSameAsOnce()
    {
        using var host = TestSilo.Build(
            silo => silo.UseLocalhostClustering(serviceId: "cluster", clusterId: "test"),
            ("Orleans:Messaging:ResponseTimeout", "00:00:07"));

        host.Services.GetRequiredService<IOptions<SiloMessagingOptions>>().Value.ResponseTimeout.ShouldBe(TimeSpan.FromSeconds(7));
        host.Services.GetRequiredService<IOptions<ClusterOptions>>().Value.ServiceId.ShouldBe("cluster");
        host.Services.GetRequiredService<IClusterClient>().ShouldBeSameAs(host.Services.GetRequiredService<IGrainFactory>());

        var twice = Host.CreateEmptyApplicationBuilder(null).UseOrleans().UseOrleans();
        twice.Services.Count(service => service.ServiceType == typeof(IHostedService)).ShouldBe(1);
    }

    [Fact]
    public async Task UseOrleans_OnAHostBuilder_Works()
    {
        using var host = new HostBuilder().UseOrleans(silo => silo.Services.AddSingleton<Journal>()).Build();
        await host.StartAsync(TestContext.Current.CancellationToken);

        (await host.Services.GetRequiredService<IGrainFactory>().GetGrain<ICounterGrain>(3).GetAsync()).ShouldBe(0);

        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Call_BeforeTheStart_IsRefused()
    {
        using var host = TestSilo.Build();

        var call = host.Services.GetRequiredService<IGrainFactory>().GetGrain<ICounterGrain>(1).IncrementAsync(0);

        (await Should.ThrowAsync<SiloUnavailableException>(call)).Message.ShouldContain("not started");
    }

    [Fact]
    public void GetGrain_OfAnInterfaceWithoutAClass_NamesIt()
    {
        using var host = TestSilo.Build();

        Should.Throw<ArgumentException>(() => host.Services.GetRequiredService<IGrainFactory>().GetGrain<IUnimplementedGrain>(1))
            .Message.ShouldContain(nameof(IUnimplementedGrain));
    }

    [Fact]
    public async Task References_AreEqualByGrain_AndKnowTheirKey()
    {
        await using var silo = await TestSilo.StartAsync();
        var key = Guid.NewGuid();
        var grain = silo.Grains.GetGrain<ILifeGrain>(key);

        grain.ShouldBe(silo.Grains.GetGrain<ILifeGrain>(key));
        grain.GetHashCode().ShouldBe(silo.Grains.GetGrain<ILifeGrain>(key).GetHashCode());
        grain.ShouldNotBe(silo.Grains.GetGrain<ILifeGrain>(Guid.NewGuid()));
        grain.GetPrimaryKey().ShouldBe(key);
        silo.Grains.GetGrain<ICounterGrain>(-5).GetPrimaryKeyLong().ShouldBe(-5);
        silo.Grains.GetGrain<IChainGrain>("a/b").GetPrimaryKeyString().ShouldBe("a/b");
        Should.Throw<InvalidOperationException>(() => silo.Grains.GetGrain<IChainGrain>("a/b").GetPrimaryKey());
    }

    [Fact]
    public void Grain_MadeByHand_IsRefused() => Should.Throw<InvalidOperationException>(() => new UnimportantGrain());

    private sealed class UnimportantGrain : Grain;
}

internal interface IUnimplementedGrain : IGrainWithIntegerKey
{
    Task PingAsync();
}
