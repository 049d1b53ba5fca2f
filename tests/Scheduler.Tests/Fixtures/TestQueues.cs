using Cluster.Contracts.V1;
using Cluster.Scheduler.Queues;

namespace Cluster.Scheduler.Tests.Fixtures;

internal static class TestQueues
{
    /// <summary>A queue with a quota of CPU devices.</summary>
    public static async Task CreateAsync(TestCluster cluster, string name, int quota, Action<DeviceQuota>? configure = null)
    {
        var devices = new DeviceQuota { Kind = DeviceKind.Cpu, Nominal = quota };
        configure?.Invoke(devices);
        var queue = new Queue { Name = name, Quotas = { devices } };
        (await cluster.Get<QueueStore>().CreateAsync(queue, TestContext.Current.CancellationToken)).ShouldBeNull();
    }

    public static JobSpecBuilder In(this JobSpecBuilder job, string queue) => job.With(spec => spec.Queue = queue);
}
