using Cluster.Contracts.V1;
using Cluster.Scheduler.Placement;

namespace Cluster.Scheduler.Tests.Placement;

public sealed class RankMemoryTests
{
    [Fact]
    public void Of_AnEstimate_CountsTheProcessOnACpuAndWhatOnlyAGpuHoldsThere()
    {
        var memory = RankMemory.Of(new MemoryEstimate { Total = 100, Process = 30, GpuOnly = 7 });

        memory.On(DeviceKind.Cpu).ShouldBe(100);
        memory.On(DeviceKind.Cuda).ShouldBe(77);
    }
}
