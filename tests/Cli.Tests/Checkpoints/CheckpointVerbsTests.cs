using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;

namespace Cluster.Cli.Tests.Checkpoints;

/// <summary>Weights to files and from files: whole or not at all.</summary>
/// <remarks>By itself, since what one of the tests measures is the memory of all that runs.</remarks>
[Collection(nameof(CheckpointVerbsTests))]
[CollectionDefinition(nameof(CheckpointVerbsTests), DisableParallelization = true)]
public sealed class CheckpointVerbsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("checkpoint-verbs-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>
    /// A 4×3 matrix of which two ranks hold two rows each, in chunks that cut header and rows anywhere; batch statistics beside it.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(13)]
    [InlineData(10_000)]
    public async Task Download_PutsTheShardsTogether(int chunkBytes)
    {
        await using var cluster = await FakeCluster.StartAsync();
        AddRank(cluster, 0, chunkBytes);
        AddRank(cluster, 1, chunkBytes);
        var path = Path.Combine(_folder.FullName, "whole.safetensors");

        (await new CliRun(cluster).RunAsync(Cancellation, "checkpoint", "download", "0198f00d", "--output", path)).ShouldBe(ExitCode.Done);

        var bytes = await File.ReadAllBytesAsync(path, Cancellation);
        var header = SafetensorsReader.HeaderBytes(bytes, bytes.Length);
        var entries = SafetensorsReader.ParseHeader(bytes.AsMemory(8, header), bytes.Length - 8 - header).ToDictionary(entry => entry.Name);
        T[] Values<T>(string name) where T : struct =>
            [.. System.Runtime.InteropServices.MemoryMarshal.Cast<byte, T>(
                bytes.AsSpan(8 + header + (int)entries[name].Begin, (int)(entries[name].End - entries[name].Begin)))];
        Values<float>("fc.weight").ShouldBe(Enumerable.Range(0, 12).Select(i => (float)i));
        entries["fc.weight"].Shape.ShouldBe([4, 3]);
        Values<float>("bn.running_var").ShouldBe([1, 2]);
        Values<long>("bn.num_batches_tracked").ShouldBe([40]); // the step: training saw so many batches
        Directory.GetFiles(_folder.FullName).ShouldBe([path]);
    }

    [Fact]
    public async Task Download_WithOptimizer_WritesEverythingIntoAFolder()
    {
        await using var cluster = await FakeCluster.StartAsync();
        AddRank(cluster, 0, 100);
        AddRank(cluster, 1, 100);
        cluster.Weights.Add("position.json", ["{}"u8.ToArray()]);

        (await new CliRun(cluster).RunAsync(
            Cancellation, "checkpoint", "download", "0198f00d", "--with-optimizer", "--output", _folder.FullName)).ShouldBe(ExitCode.Done);

        Directory.GetFiles(_folder.FullName).Select(Path.GetFileName).Order()
            .ShouldBe(["model.safetensors", "optimizer.safetensors", "position.json"]);
        (await File.ReadAllTextAsync(Path.Combine(_folder.FullName, "optimizer.safetensors"), Cancellation))
            .ShouldContain("momentum_buffer.fc.weight");
    }

    [Theory]
    [InlineData(4, false, ExitCode.Unreachable, "cannot serve this now: gone; try again in a moment")]
    [InlineData(int.MaxValue, true, ExitCode.Failed, "a chunk of model-0.safetensors came back changed")]
    public async Task Download_ThatIsCutOffOrChanged_LeavesNothing(int cutAfter, bool changed, int exitCode, string message)
    {
        await using var cluster = await FakeCluster.StartAsync();
        AddRank(cluster, 0, 16);
        AddRank(cluster, 1, 16);
        (cluster.Weights.CutAfter, cluster.Weights.LastChunkIsChanged) = (cutAfter, changed);
        var run = new CliRun(cluster);

        (await run.RunAsync(
            Cancellation, "checkpoint", "download", "0198f00d", "--output", Path.Combine(_folder.FullName, "w.safetensors")))
            .ShouldBe(exitCode);

        run.Error.ShouldContain(message);
        Directory.GetFiles(_folder.FullName).ShouldBeEmpty();
    }

    [Fact]
    public async Task Download_OverAFileThatIsThere_IsRefused()
    {
        await using var cluster = await FakeCluster.StartAsync();
        AddRank(cluster, 0, 100);
        AddRank(cluster, 1, 100);
        var path = Path.Combine(_folder.FullName, "mine.safetensors");
        await File.WriteAllTextAsync(path, "mine", Cancellation);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "checkpoint", "download", "0198f00d", "--output", path)).ShouldBe(ExitCode.Usage);

        run.Error.Trim().ShouldBe($"--output is {path}, which exists; remove it or name another");
        (await File.ReadAllTextAsync(path, Cancellation)).ShouldBe("mine");
    }

    /// <summary>What is alive meanwhile is measured by full collections.</summary>
    [Fact]
    public async Task Download_OfALargeCheckpoint_HoldsAFewChunksAtATime()
    {
        await using var cluster = await FakeCluster.StartAsync();
        const int Chunks = 192;
        var header = SafetensorsWriter.Header([("fc.weight", "F32", [Chunks << 18])]);
        var zeros = new byte[1 << 20];
        cluster.Weights.Add("model.safetensors", Enumerable.Repeat(zeros, Chunks).Prepend(header));
        cluster.Weights.Manifest.Tensors.Add(Shard("fc.weight", "model.safetensors", [Chunks << 18], [0], [Chunks << 18]));
        var path = Path.Combine(_folder.FullName, "large.safetensors");
        var before = GC.GetTotalMemory(forceFullCollection: true);

        var download = new CliRun(cluster).RunAsync(Cancellation, "checkpoint", "download", "0198f00d", "--output", path);
        var most = 0L;
        while (!download.IsCompleted)
        {
            most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
            await Task.Delay(10, Cancellation);
        }

        (await download).ShouldBe(ExitCode.Done);
        new FileInfo(path).Length.ShouldBe(header.Length + ((long)Chunks << 20));
        most.ShouldBeInRange(1, 64 << 20);
    }

    [Fact]
    public async Task Import_SendsTheFileAndTheModel()
    {
        await using var cluster = await FakeCluster.StartAsync();
        byte[] content = [.. SafetensorsWriter.Header([("fc.weight", "F32", [300_000])]), .. new byte[1_200_000]];
        var path = Path.Combine(_folder.FullName, "w.safetensors");
        await File.WriteAllBytesAsync(path, content, Cancellation);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "checkpoint", "import", path, "--model", "alexnet", "--option", "width=0.5", "--option",
            "lrn=false")).ShouldBe(ExitCode.Done, run.Error);

        cluster.Weights.Imported!.Model.Options["width"].DoubleValue.ShouldBe(0.5);
        cluster.Weights.Imported.Model.Options["lrn"].BoolValue.ShouldBeFalse();
        cluster.Weights.ImportedContent.ToArray().AsSpan().SequenceEqual(content).ShouldBeTrue();
        run.Out.ShouldContain("the first job that begins with it checks its names and shapes");
    }

    /// <summary>What has been sent cannot be sent again: it goes to one that answers.</summary>
    [Fact]
    public async Task Import_WhenTheFirstSchedulerSaysNothing_GoesToAnother()
    {
        await using var cluster = await FakeCluster.StartAsync();
        await using var relay = TcpRelay.To(new Uri(cluster.Address).Port);
        relay.FallSilent();
        byte[] content = [.. SafetensorsWriter.Header([("fc.weight", "F32", [3])]), .. new byte[12]];
        var path = Path.Combine(_folder.FullName, "w.safetensors");
        await File.WriteAllBytesAsync(path, content, Cancellation);
        var run = new CliRun().With("CLUSTER_SERVER", $"{relay.Address.OriginalString},{cluster.Address}");

        (await run.RunAsync(Cancellation, "checkpoint", "import", path, "--model", "alexnet")).ShouldBe(ExitCode.Done, run.Error);

        cluster.Weights.ImportedContent.ToArray().AsSpan().SequenceEqual(content).ShouldBeTrue();
    }

    [Theory]
    [InlineData("alexnet", "width=7", "model.options.width is 7 but must be more than 0 and at most 1")]
    [InlineData("alexnett", "width=1", "model.name is alexnett but no model of that name is known; did you mean alexnet?")]
    [InlineData("alexnet", "width", "--option is width but must be KEY=VALUE")]
    [InlineData("alexnet", "width=1", "cannot be imported: a safetensors file has at least 8 bytes, this one 5")]
    public async Task Import_OfWhatIsWrong_SaysSoBeforeSending(string model, string option, string message)
    {
        await using var cluster = await FakeCluster.StartAsync();
        var path = Path.Combine(_folder.FullName, "w.safetensors");
        await File.WriteAllTextAsync(path, "short", Cancellation);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "checkpoint", "import", path, "--model", model, "--option", option)).ShouldBe(ExitCode.Usage);

        run.Error.ShouldContain(message);
        cluster.Weights.Imported.ShouldBeNull();
    }

    [Fact]
    public async Task Delete_SaysWhatIsGone()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "checkpoint", "delete", "0198f00d")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.Trim().ShouldBe($"checkpoint {FakeCheckpoints.Id} deleted: 0198f00d.safetensors, step 40, 246824 bytes");
    }

    private static void AddRank(FakeCluster cluster, int rank, int chunkBytes)
    {
        var rows = Enumerable.Range(rank * 6, 6).SelectMany(i => BitConverter.GetBytes((float)i)).ToArray();
        byte[] statistics = rank == 0 ? [.. BitConverter.GetBytes(1f), .. BitConverter.GetBytes(2f)] : [];
        (string, string, long[])[] tensors = rank == 0
            ? [("bn.running_var", "F32", [2]), ("fc.weight", "F32", [2, 3])]
            : [("fc.weight", "F32", [2, 3])];
        var (model, optimizer) = ($"model-{rank}.safetensors", $"optimizer-{rank}.safetensors");
        cluster.Weights.Add(model, ((byte[])[.. SafetensorsWriter.Header(tensors), .. statistics, .. rows]).Chunk(chunkBytes));
        cluster.Weights.Add(
            optimizer, ((byte[])[.. SafetensorsWriter.Header([("momentum_buffer.fc.weight", "F32", [2, 3])]), .. rows]).Chunk(chunkBytes));
        cluster.Weights.Manifest.Tensors.Add(Shard("fc.weight", model, [4, 3], [rank * 2, 0], [2, 3]));
        cluster.Weights.Manifest.Tensors.Add(Shard("momentum_buffer.fc.weight", optimizer, [4, 3], [rank * 2, 0], [2, 3]));
        if (rank == 0)
            cluster.Weights.Manifest.Tensors.Add(Shard("bn.running_var", model, [2], [0], [2]));
    }

    private static TensorShard Shard(string name, string file, long[] globalShape, long[] offset, long[] shape) =>
        new() { Name = name, File = file, GlobalShape = { globalShape }, Offset = { offset }, Shape = { shape } };
}
