using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Training;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging.Abstractions;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Checkpoints;

/// <summary>
/// Weights that torchvision wrote give the same logits here, and ours, split over two ranks and put together, load there strictly.
/// </summary>
public sealed class TorchvisionWeightsTests : IDisposable
{
    private const int Step = 5;

    private readonly DirectoryInfo _data = Directory.CreateTempSubdirectory("torchvision-weights-");

    private static CancellationToken End => TestContext.Current.CancellationToken;

    public void Dispose() => _data.Delete(recursive: true);

    [Theory]
    [InlineData("resnet18", 96)]
    [InlineData("mobilenet_v2", 96)]
    public Task Weights_GoBothWays(string model, int size) => CompareAsync(model, size, Precision.Float64, 1e-9);

    /// <summary>With their auxiliary heads' weights, which evaluation does not use but a file has.</summary>
    [Theory]
    [Trait("Round", "full")]
    [InlineData("googlenet_tv", 96)]
    [InlineData("inception_v3", 112)]
    public Task WeightsOfNetsWithHeads_GoBothWays(string model, int size) => CompareAsync(model, size, Precision.Float64, 1e-9);

    /// <summary>In float32, since they are large: sums of up to 25,088 products in other orders, √n·2⁻²⁴, through eight layers.</summary>
    [Theory]
    [Trait("Round", "full")]
    [InlineData("alexnet_owt")]
    [InlineData("vgg11_bn")]
    public Task LargeWeights_GoBothWays(string model) => CompareAsync(model, 224, Precision.Float32, 1e-4);

    private async Task CompareAsync(string model, int size, Precision precision, double tolerance)
    {
        var folder = _data.CreateSubdirectory("weights").FullName;
        var spec = TestRuns.AJob(spec =>
        {
            spec.Model = new ModelSpec
            {
                Name = model,
                Options = { ["channels"] = TestRuns.Whole(3), ["classes"] = TestRuns.Whole(10), ["inputSize"] = TestRuns.Whole(size) },
            };
            spec.Hyperparameters.Precision = precision;
            spec.InitFrom = new InitFrom { File = "theirs.safetensors" };
        });
        using var scope = NewDisposeScope();
        using var network = ModelRegistry.Create(
            model, TrainingPartitions.OptionsOf(spec.Model), seed: 4, TrainingPartitions.PrecisionOf(precision));
        network.eval();
        var images = tensor(
            Enumerable.Range(0, 2 * 3 * size * size).Select(i => CounterRandom.Normal(9, (ulong)i)).ToArray(), 2, 3, size, size);
        await File.WriteAllBytesAsync(Path.Combine(folder, "input.bin"), images.bytes.ToArray(), End);
        await File.WriteAllBytesAsync(Path.Combine(folder, "ours.safetensors"), await MergedAsync(network), End);
        var ours = Logits(network, images);

        await PythonAsync(model, size, precision, folder);
        await using (var context = Context(spec))
            await InitialWeights.LoadAsync(context, network, LocalParameters.Of(network, isOwner: true), End);

        Difference(ours, Doubles(folder, "ours.bin")).ShouldBeLessThan(tolerance);
        var theirs = Doubles(folder, "theirs.bin");
        Difference(Logits(network, images), theirs).ShouldBeLessThan(tolerance);
        Difference(ours, theirs).ShouldBeGreaterThan(0.01); // they are not the same weights anyway
    }

    /// <summary>Written by two ranks of which each holds half of every tensor's rows, and merged.</summary>
    private static async Task<byte[]> MergedAsync(ImageClassifier network)
    {
        var store = new ChunkStore();
        await using (var rank0 = new CheckpointWriter(store, _ => Task.CompletedTask, NullLogger<CheckpointWriter>.Instance))
        await using (var rank1 = new CheckpointWriter(store, _ => Task.CompletedTask, NullLogger<CheckpointWriter>.Instance))
        {
            rank0.Begin(Half(network, 0));
            rank1.Begin(Half(network, 1));
        }

        var reader = await CheckpointReader.OpenAsync(store, $"{Step}", End);
        var (files, headers, begins) = (
            new Dictionary<string, byte[]>(), new Dictionary<string, IReadOnlyList<SafetensorsEntry>>(), new Dictionary<string, int>());
        foreach (var name in reader.Manifest.Files.Select(file => file.Name))
        {
            var bytes = files[name] = await reader.ReadFileAsync(name, End);
            var header = SafetensorsReader.HeaderBytes(bytes, bytes.Length);
            begins[name] = sizeof(long) + header;
            headers[name] = SafetensorsReader.ParseHeader(bytes.AsMemory(sizeof(long), header), bytes.Length - begins[name]);
        }

        var merge = TensorMerge.Plan(reader.Manifest, headers);
        var merged = new byte[merge.Bytes];
        merge.Header.CopyTo(merged, 0);
        foreach (var (target, content) in merge.Constants)
            content.CopyTo(merged, target);
        foreach (var (name, bytes) in files)
        {
            foreach (var run in merge.RunsOf(name))
                bytes.AsSpan((int)(begins[name] + run.Source), (int)run.Bytes).CopyTo(merged.AsSpan((int)run.Target));
        }

        return merged;
    }

    private static CheckpointSnapshot Half(ImageClassifier network, int rank)
    {
        var snapshot = new CheckpointSnapshot { Step = Step, Epoch = 1, WorldSize = 2, Parallelism = Parallelism.Model, Parts = 2 };
        using var scope = NewDisposeScope();
        foreach (var (name, whole) in network.named_parameters().Select(p => (p.name, p.parameter.detach()))
            .Concat(network.Buffers().Select(b => (b.Name, b.Buffer))))
        {
            var rows = whole.shape[0];
            var first = rank * (rows / 2);
            var part = whole.narrow(0, first, rank == 0 ? rows / 2 : rows - first).contiguous();
            snapshot.AddTensor(
                CheckpointLayout.ModelFileOf(rank), name, TensorBytes.NameOf(whole.dtype), whole.shape,
                [first, .. new long[whole.dim() - 1]], part.shape, part.bytes);
        }

        return snapshot;
    }

    private TrainerContext Context(JobSpec spec) => new(
        new TrainerLaunch { JobId = Guid.NewGuid().ToString(), Spec = spec, DataRoot = _data.FullName }, new ChunkStore(),
        new TrainerStop(TimeProvider.System), NullLoggerFactory.Instance, TimeProvider.System);

    private static double[] Logits(ImageClassifier network, Tensor images)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        return MemoryMarshal.Cast<byte, double>(
            network.call(images.to(network.parameters().First().dtype)).to(ScalarType.Float64).contiguous().bytes).ToArray();
    }

    private static double[] Doubles(string folder, string file) =>
        MemoryMarshal.Cast<byte, double>(File.ReadAllBytes(Path.Combine(folder, file))).ToArray();

    /// <summary>Relative to the norm.</summary>
    private static double Difference(double[] actual, double[] expected) =>
        Math.Sqrt(actual.Zip(expected, (a, e) => (a - e) * (a - e)).Sum() / expected.Sum(e => e * e));

    private static async Task PythonAsync(string model, int size, Precision precision, string folder, [CallerFilePath] string here = "")
    {
        var start = new ProcessStartInfo("/usr/bin/python3",
            [Path.Combine(Path.GetDirectoryName(here)!, "torchvision_weights.py"), model, size.ToString(CultureInfo.InvariantCulture),
                precision == Precision.Float64 ? "F64" : "F32", folder])
        {
            RedirectStandardError = true,
            Environment = { ["OMP_NUM_THREADS"] = "1", ["OPENBLAS_NUM_THREADS"] = "1", ["PYTHONDONTWRITEBYTECODE"] = "1" },
        };
        using var python = Process.Start(start)!;
        var errors = await python.StandardError.ReadToEndAsync(End);
        await python.WaitForExitAsync(End);
        python.ExitCode.ShouldBe(0, errors);
    }
}
