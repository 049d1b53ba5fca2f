using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Training;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cluster.Worker.Tests.Checkpoints;

public sealed class CheckpointTests
{
    private static CancellationToken End => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ATensor_WrittenByTwoRanks_IsReadWholeAndInAnySlice()
    {
        // A 6×4 matrix of 0…23, its columns dealt to two ranks as 1 and 3; and a bias of which both hold the same.
        var store = new ChunkStore();
        await using (var rank0 = Writer(store))
        await using (var rank1 = Writer(store))
        {
            rank0.Begin(Part("fc-0.safetensors", [0, 0], [6, 1], Columns(0, 1)));
            rank1.Begin(Part("fc-1.safetensors", [0, 1], [6, 3], Columns(1, 3)));
        }

        var reader = await CheckpointReader.OpenAsync(store, "1", End);

        (await FloatsAsync(reader, [0, 0], [6, 4])).ShouldBe(Enumerable.Range(0, 24).Select(i => (float)i));
        (await FloatsAsync(reader, [2, 0], [2, 3])).ShouldBe([8, 9, 10, 12, 13, 14]);
        (await FloatsAsync(reader, [5, 3], [1, 1])).ShouldBe([23]);
        (await FloatsAsync(reader, [0, 2], [6, 1])).ShouldBe([2, 6, 10, 14, 18, 22]);
        (await FloatsAsync(reader, [0, 0], [0, 4])).ShouldBeEmpty();
        MemoryMarshal.Cast<byte, float>(await reader.ReadTensorAsync("fc.bias", End)).ToArray().ShouldBe([0.5f, 1.5f]);
        reader.GlobalShape("fc.weight").ShouldBe([6, 4]);
        (await reader.DTypeAsync("fc.weight", End)).ShouldBe("F32");
        reader.TensorNames.Order().ShouldBe(["fc.bias", "fc.weight"]);
    }

    [Fact]
    public async Task AFile_OfManyChunks_IsReadAsItWasWritten()
    {
        var store = new ChunkStore();
        // Two and a half chunks, of which the first two are equal.
        var content = new byte[CheckpointParts.MaxChunkBytes * 5 / 2];
        content[^1] = 9;
        using (var file = Snapshot(1))
        {
            file.AddFile("position.json", content);
            file.AddTensor("model.safetensors", "scalar", "F64", [], MemoryMarshal.AsBytes<double>([Math.PI]));
            await using var writer = Writer(store);
            writer.Begin(file);
        }

        var reader = await CheckpointReader.OpenAsync(store, "1", End);

        (await reader.ReadFileAsync("position.json", End)).SequenceEqual(content).ShouldBeTrue();
        reader.Manifest.Files.Single(entry => entry.Name == "position.json").Chunks.Select(chunk => chunk.Bytes)
            .ShouldBe([1 << 20, 1 << 20, 1 << 19]);
        MemoryMarshal.Cast<byte, double>(await reader.ReadTensorAsync("scalar", End))[0].ShouldBe(Math.PI);
        store.Chunks.Count.ShouldBe(3);
    }

    [Fact]
    public async Task Reading_WhatIsNotThere_SaysWhat()
    {
        var store = new ChunkStore();
        await using (var writer = Writer(store))
            writer.Begin(Part("fc-0.safetensors", [0, 0], [6, 1], Columns(0, 1), parts: 1));
        var reader = await CheckpointReader.OpenAsync(store, "1", End);

        (await Should.ThrowAsync<InvalidDataException>(() => reader.ReadTensorAsync("fc3.weight", End)))
            .Message.ShouldBe("the checkpoint has no tensor 'fc3.weight'");
        (await Should.ThrowAsync<InvalidDataException>(() => reader.ReadFileAsync("position.json", End)))
            .Message.ShouldContain("no file 'position.json'");
        (await Should.ThrowAsync<InvalidDataException>(() => reader.ReadTensorAsync("fc.weight", End)))
            .Message.ShouldContain("hold 24 of the 96 bytes");
        (await Should.ThrowAsync<InvalidDataException>(() => reader.ReadSliceAsync("fc.weight", [0, 3], [6, 2], End)))
            .Message.ShouldContain("lies outside");
    }

    [Fact]
    public async Task AChunk_ThatComesBackChanged_IsRefused()
    {
        var store = new ChunkStore();
        await using (var writer = Writer(store))
            writer.Begin(Part("fc-0.safetensors", [0, 0], [6, 4], Columns(0, 4), parts: 1));
        var reader = await CheckpointReader.OpenAsync(store, "1", End);
        foreach (var chunk in store.Chunks.Values)
            chunk[^1] ^= 1;

        (await Should.ThrowAsync<InvalidDataException>(() => reader.ReadTensorAsync("fc.weight", End)))
            .Message.ShouldContain("came back changed");
    }

    [Fact]
    public async Task Writing_GoesOnBesideTraining_AndOneAtATime()
    {
        var store = new ChunkStore { Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) };
        await using var writer = Writer(store);
        writer.Begin(Whole(step: 1));

        writer.IsWriting.ShouldBeTrue();
        Should.Throw<InvalidOperationException>(() => writer.Begin(Whole(step: 2)));
        store.Gate.SetResult();
        (await writer.SettleAsync(End)).ShouldBeTrue();
        writer.IsWriting.ShouldBeFalse();
        writer.Begin(Whole(step: 2));
        await writer.FlushAsync(End);
        store.Manifests.Keys.Order().ShouldBe(["1", "2"]);
        writer.LastCheckpointId.ShouldBe("2");
    }

    [Fact]
    public async Task AFault_OfAWrite_IsThrownByTheNext()
    {
        var store = new ChunkStore { Fault = new IOException("no space") };
        var writer = Writer(store);
        writer.Begin(Whole(step: 1));
        await Should.ThrowAsync<IOException>(() => writer.SettleAsync(End));

        Should.Throw<IOException>(() => writer.Begin(Whole(step: 2))).Message.ShouldBe("no space");
    }

    [Fact]
    public async Task AStoreThatIsAway_FailsOnlyWhatMustBeThere_AndTheNextWriteMakesGood()
    {
        var store = new ChunkStore { Fault = new RpcException(new Status(StatusCode.Unavailable, "away")) };
        await using var writer = Writer(store);
        writer.Begin(Whole(step: 1));
        (await writer.SettleAsync(End)).ShouldBeFalse();
        await Should.ThrowAsync<RpcException>(() => writer.FlushAsync(End));

        store.Fault = null;
        writer.Begin(Whole(step: 2));
        await writer.FlushAsync(End);

        store.Manifests.Keys.ShouldBe(["2"]);
    }

    [Fact]
    public void ASnapshot_WhosePartsDoNotFit_IsRefused()
    {
        using var snapshot = Snapshot(1);

        Should.Throw<ArgumentException>(() => snapshot.AddTensor("f", "w", "F32", [2, 2], [1, 0], [2, 2], new byte[16]))
            .Message.ShouldContain("lies outside");
        Should.Throw<ArgumentException>(() => snapshot.AddTensor("f", "w", "F32", [2, 2], new byte[15])).Message.ShouldContain("15 bytes");
        snapshot.AddTensor("f", "w", "F32", [2, 2], new byte[16]);
        Should.Throw<ArgumentException>(() => snapshot.AddTensor("f", "w", "F32", [2, 2], new byte[16])).Message.ShouldContain("already");
    }

    [Fact]
    public async Task PyTorch_ReadsTheSameValues()
    {
        var store = new ChunkStore();
        var weights = Enumerable.Range(0, 12).Select(i => i * 0.25f).ToArray();
        using (var snapshot = Snapshot(1))
        {
            snapshot.AddTensor("model.safetensors", "count", "I64", [1], MemoryMarshal.AsBytes<long>([42]));
            snapshot.AddTensor("model.safetensors", "conv1.weight", "F32", [3, 2, 2], MemoryMarshal.AsBytes<float>(weights));
            snapshot.AddTensor("model.safetensors", "mask", "U8", [3], [1, 2, 3]);
            await using var writer = Writer(store);
            writer.Begin(snapshot);
        }

        var reader = await CheckpointReader.OpenAsync(store, "1", End);
        var file = Path.GetTempFileName();
        await File.WriteAllBytesAsync(file, await reader.ReadFileAsync("model.safetensors", End), End);
        try
        {
            // The format's own reader in its shortest form: what the safetensors package does, which Debian does not carry.
            const string script = """
                import json, struct, sys, torch
                data = open(sys.argv[1], "rb").read()
                n = struct.unpack("<Q", data[:8])[0]
                header = json.loads(data[8:8 + n])
                assert header.pop("__metadata__") == {"format": "pt"} and n % 8 == 0
                types = {"F32": torch.float32, "I64": torch.int64, "U8": torch.uint8}
                for name in sorted(header):
                    entry = header[name]
                    begin, end = entry["data_offsets"]
                    values = bytearray(data[8 + n + begin:8 + n + end])
                    tensor = torch.frombuffer(values, dtype=types[entry["dtype"]]).reshape(entry["shape"])
                    assert (8 + n + begin) % tensor.element_size() == 0
                    print(name, list(tensor.shape), tensor.double().sum().item())
                """;
            using var python = Process.Start(
                new ProcessStartInfo("/usr/bin/python3") { ArgumentList = { "-c", script, file }, RedirectStandardOutput = true })!;
            var output = await python.StandardOutput.ReadToEndAsync(End);
            await python.WaitForExitAsync(End);

            output.Trim().Split('\n').ShouldBe(
                [$"conv1.weight [3, 2, 2] {weights.Sum().ToString("0.0", CultureInfo.InvariantCulture)}", "count [1] 42.0",
                    "mask [3] 6.0"]);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static CheckpointWriter Writer(ITrainerLink link) =>
        new(link, _ => Task.CompletedTask, NullLogger<CheckpointWriter>.Instance);

    private static CheckpointSnapshot Snapshot(long step, int parts = 1) =>
        new() { Step = step, Epoch = 0, WorldSize = parts, Parallelism = Parallelism.Model, Parts = parts };

    private static CheckpointSnapshot Whole(long step) => Part("a.safetensors", [0, 0], [6, 4], Columns(0, 4), parts: 1, step);

    private static CheckpointSnapshot Part(string file, long[] offset, long[] shape, float[] values, int parts = 2, long step = 1)
    {
        var snapshot = Snapshot(step, parts);
        snapshot.AddTensor(file, "fc.weight", "F32", [6, 4], offset, shape, MemoryMarshal.AsBytes<float>(values));
        snapshot.AddTensor(file, "fc.bias", "F32", [2], MemoryMarshal.AsBytes<float>([0.5f, 1.5f]));
        return snapshot;
    }

    private static float[] Columns(int first, int count) =>
        [.. Enumerable.Range(0, 6).SelectMany(row => Enumerable.Range(first, count).Select(column => (float)(row * 4 + column)))];

    private static async Task<float[]> FloatsAsync(CheckpointReader reader, long[] offset, long[] shape) =>
        MemoryMarshal.Cast<byte, float>(await reader.ReadSliceAsync("fc.weight", offset, shape, End)).ToArray();
}
