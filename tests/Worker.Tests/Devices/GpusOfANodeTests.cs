using Cluster.Worker.Devices;

namespace Cluster.Worker.Tests.Devices;

/// <summary>Which GPUs an agent offers, under which numbers, and with which of the host's cores.</summary>
public sealed class GpusOfANodeTests : IDisposable
{
    private static readonly Gpu[] Gpus =
        [Card(0, "GPU-1234"), Card(1, "GPU-1278"), Instance(2, "GPU-9999", "MIG-aaaa", 1), Instance(2, "GPU-9999", "MIG-abbb", 2)];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("gpus-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(null, "GPU-1234 GPU-1278 MIG-aaaa MIG-abbb")]
    [InlineData("", "")]
    [InlineData("1, 0", "GPU-1278 GPU-1234")]
    [InlineData("0,-1,1", "GPU-1234")]
    [InlineData("0,7,1", "GPU-1234")]
    [InlineData("NoDevFiles", "")]
    [InlineData("0,0", "")]
    [InlineData("0,GPU-1234", "")]
    [InlineData("GPU-127,GPU-1234", "GPU-1278 GPU-1234")]
    [InlineData("1,GPU-12,0", "GPU-1278")] // of two cards
    [InlineData("MIG-abbb,0", "MIG-abbb GPU-1234")]
    [InlineData("MIG-GPU-9999/1/0", "MIG-aaaa")]
    [InlineData("MIG-GPU-9999/1", "")]
    [InlineData("MIG-a", "")]
    [InlineData("2", "MIG-aaaa MIG-abbb")] // the card as a whole cannot be used
    [InlineData("GPU-9999,0", "MIG-aaaa MIG-abbb GPU-1234")]
    [InlineData("MIG-aaaa,2", "")]
    public void Visible_ByTheAgentsOwnSetting_AreThoseThatCudaWouldShow(string? setting, string expected) =>
        string.Join(' ', VisibleGpus.Of(Gpus, setting).Select(gpu => gpu.Uuid)).ShouldBe(expected);

    [Fact]
    public void Numbers_OverRestarts_StayThoseOfTheirCards()
    {
        Offer("GPU-b", "GPU-a", "GPU-c").ShouldBe("cuda:0 GPU-b, cuda:1 GPU-a, cuda:2 GPU-c");
        Offer("GPU-a", "GPU-b", "GPU-c").ShouldBe("cuda:0 GPU-b, cuda:1 GPU-a, cuda:2 GPU-c");
        Offer("GPU-a", "GPU-c").ShouldBe("cuda:1 GPU-a, cuda:2 GPU-c"); // one is away, and back
        Offer("GPU-a", "GPU-b", "GPU-c").ShouldBe("cuda:0 GPU-b, cuda:1 GPU-a, cuda:2 GPU-c");
        // One has been divided.
        Offer("MIG-1", "GPU-b", "MIG-2", "GPU-c").ShouldBe("cuda:0 GPU-b, cuda:1 MIG-1, cuda:2 GPU-c, cuda:3 MIG-2");
        Offer("GPU-a", "GPU-b", "GPU-c").ShouldBe("cuda:0 GPU-b, cuda:1 GPU-a, cuda:2 GPU-c");
    }

    [Fact]
    public void Numbers_FromAFileOfOtherThings_AreRefusedWithTheRemedy()
    {
        var file = Path.Combine(_folder.FullName, "gpus");
        File.WriteAllText(file, "0 GPU-a\n0 GPU-b\n");

        Should.Throw<InvalidDataException>(() => GpuNumbers.Keep(file, [Card(0, "GPU-a")])).Message
            .ShouldBe($"{file} holds '0 GPU-b', which is not a GPU's number and UUID; delete the file to number them anew");
    }

    [Fact]
    public void Cores_OnTwoNodes_AreThoseNearTheCard_BothThreadsOfAPhysicalCoreTogether()
    {
        MachineOfTwoNodes();
        PutCard(0, node: 0);
        PutCard(1, node: 0);
        PutCard(2, node: 1);

        // The third card's two instances share what is near it.
        Divided([.. Enumerable.Range(0, 16)]).ShouldBe(["0,8,1,9", "2,10,3,11", "4,12,5,13", "6,14,7,15"]);
    }

    [Fact]
    public void Cores_OfAnAgentThatMayNotUseAll_AreThoseOfItsOwn()
    {
        MachineOfTwoNodes();
        PutCard(0, node: 0);
        PutCard(1, node: 0);
        PutCard(2, node: 1);

        Divided([1, 2, 9, 5]).ShouldBe(["1", "9,2", "5", "5"]); // fewer cores than trainers are shared
    }

    [Theory]
    [InlineData(-1, "no node")]
    [InlineData(7, "a node of memory alone")]
    public void Cores_WhereACardIsNearNone_AreAllCoresEvenly(int node, string why)
    {
        MachineOfTwoNodes();
        PutCard(0, node: 0);
        PutCard(1, node);
        PutCard(2, node: 1);

        Divided([0, 1, 2, 3, 4, 5, 6, 7]).ShouldBe(["0,1", "2,3", "4,5", "6,7"], why);
    }

    [Fact]
    public void Cores_InAContainerThatHidesTheMachine_AreAllCoresEvenly() =>
        Divided([4, 5, 6, 7, 8, 9]).ShouldBe(["4", "5,6", "7", "8,9"]);

    private static Gpu Card(int index, string uuid) =>
        new(uuid, "NVIDIA L4", 1000, new GpuCard(index, uuid, $"0000:{index + 16:x2}:00.0"));

    private static Gpu Instance(int index, string card, string uuid, int number) =>
        Card(index, card) with { Uuid = uuid, InstanceName = $"MIG-{card}/{number}/0" };

    private string Offer(params string[] uuids)
    {
        var offered = GpuNumbers.Keep(Path.Combine(_folder.FullName, "gpus"), [.. uuids.Select((uuid, index) => Card(index, uuid))]);
        return string.Join(", ", offered.Select(gpu => $"{gpu.Id} {gpu.Gpu.Uuid}"));
    }

    private string[] Divided(int[] cores)
    {
        var offered = Gpus.Select((gpu, number) => new OfferedGpu($"cuda:{number}", gpu)).ToList();
        var divided = GpuCores.Divide(offered, cores, new HostTopology(_folder.FullName));
        return [.. offered.Select(gpu => string.Join(',', divided[gpu.Id]))];
    }

    /// <summary>Two processors of four cores with two threads each.</summary>
    private void MachineOfTwoNodes()
    {
        Write("devices/system/node/node0/cpulist", "0-3,8-11\n");
        Write("devices/system/node/node1/cpulist", "4-7,12-15\n");
        Write("devices/system/node/node7/cpulist", "\n");
        for (var core = 0; core < 16; core++)
            Write($"devices/system/cpu/cpu{core}/topology/thread_siblings_list", $"{core % 8},{(core % 8) + 8}\n");
    }

    private void PutCard(int index, int node)
    {
        var card = Gpus.First(gpu => gpu.Card.Index == index).Card;
        Write($"bus/pci/devices/{card.PciAddress}/numa_node", $"{node}\n");
    }

    private void Write(string path, string text)
    {
        var file = Path.Combine(_folder.FullName, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
