using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Orleans.Configuration;
using Orleans.Runtime;

namespace Orleans.Hosting;

/// <summary>Starts and stops the grains with their host.</summary>
internal sealed class SiloHostedService(Silo silo, SiloBuilder builder) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        SiloConfiguration.Check(builder.Configuration.GetSection("Orleans"), silo.Collection, silo.Messaging);
        silo.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => silo.StopAsync(cancellationToken);
}

/// <summary>Refuses, by name, what one process cannot do or no process can.</summary>
internal static class SiloConfiguration
{
    // Sections that the genuine package acts on and this one has no part for.
    private static readonly string[] AbsentFeatures = ["Reminders", "BroadcastChannel", "Streaming", "GrainStorage", "GrainDirectory", "Endpoints"];

    public static void Check(IConfiguration orleans, GrainCollectionOptions collection, SiloMessagingOptions messaging)
    {
        var clustering = orleans.GetSection("Clustering");
        var provider = clustering["ProviderType"] ?? "Default";
        if (clustering.Exists() && !provider.Equals("Development", StringComparison.OrdinalIgnoreCase))
        {
            throw new OrleansConfigurationException(
                $"Orleans:Clustering:ProviderType is '{provider}', but this build carries the Orleans of one process. "
                + "Build with PackageSet=nuget for several machines, or leave the setting out (or 'Development') for one.");
        }

        foreach (var feature in AbsentFeatures)
        {
            if (orleans.GetSection(feature).Exists())
                throw new OrleansConfigurationException($"Orleans:{feature} is set, but this build carries the Orleans of one process, which has none; build with PackageSet=nuget.");
        }

        Require(collection.CollectionQuantum > TimeSpan.Zero, nameof(collection.CollectionQuantum), collection.CollectionQuantum, "be positive");
        Require(collection.CollectionAge > collection.CollectionQuantum, nameof(collection.CollectionAge), collection.CollectionAge, $"exceed CollectionQuantum ({collection.CollectionQuantum})");
        Require(collection.ActivationTimeout > TimeSpan.Zero, nameof(collection.ActivationTimeout), collection.ActivationTimeout, "be positive");
        Require(collection.DeactivationTimeout > TimeSpan.Zero, nameof(collection.DeactivationTimeout), collection.DeactivationTimeout, "be positive");
        Require(messaging.ResponseTimeout > TimeSpan.Zero, nameof(messaging.ResponseTimeout), messaging.ResponseTimeout, "be positive");
    }

    private static void Require(bool holds, string name, TimeSpan value, string condition)
    {
        if (!holds)
            throw new OrleansConfigurationException($"{name} is {value}; it must {condition}.");
    }
}
