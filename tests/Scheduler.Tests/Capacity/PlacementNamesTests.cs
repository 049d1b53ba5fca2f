using Cluster.Contracts.V1;
using Cluster.Placement;
using Cluster.Scheduler.Capacity;

namespace Cluster.Scheduler.Tests.Capacity;

public sealed class PlacementNamesTests
{
    [Fact]
    public void MemoryOf_AnEstimate_CountsTheProcessOnACpuAndWhatOnlyAGpuHoldsThere()
    {
        var memory = PlacementNames.MemoryOf(new MemoryEstimate { Total = 100, Process = 30, GpuOnly = 7 });

        memory.On(DeviceClass.Cpu).ShouldBe(100);
        memory.On(DeviceClass.Cuda).ShouldBe(77);
    }

    [Theory]
    [InlineData("cifar-10", "", "cifar-10")]
    [InlineData("image-folder", "my-photos", "image-folder/my-photos")]
    [InlineData("tar-shards", "my-photos", "tar-shards/my-photos")]
    public void NeedOf_AFolder_IsThatOfItsName(string data, string folder, string needed) =>
        PlacementNames.NeedOf(new JobSpec { Data = new DataSpec { Name = data, Folder = folder } }, memory: null).DataSet.ShouldBe(needed);

    [Theory]
    [InlineData(DeviceKind.Cpu, "Cpu")]
    [InlineData(DeviceKind.Cuda, "Cuda")]
    [InlineData(DeviceKind.Any, "Cuda Cpu")]
    public void NeedOf_ADeviceKind_IsThatClass_OrEitherWithGpusFirst(DeviceKind kind, string classes)
    {
        var spec = new JobSpec { Data = new DataSpec(), Resources = new ResourceSpec { DeviceKind = kind } };

        string.Join(' ', PlacementNames.NeedOf(spec, memory: null).Kinds).ShouldBe(classes);
    }
}
