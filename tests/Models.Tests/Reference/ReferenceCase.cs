using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Cluster.Models.LeNet;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Cluster.Models.Tests.Reference;

/// <summary>A net of ours and the same net in Python, fed the same values.</summary>
public sealed record ReferenceCase(string Model, Dictionary<string, object> Options, long[] Input, bool Training, bool Single = false)
{
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Model} {string.Join('×', Input)} {(Training ? "train" : "eval")} {(Single ? "float32" : "float64")}");

    /// <summary>Runs all cases in one Python process, since importing torch takes longer than many of the nets.</summary>
    internal static async Task<IReadOnlyList<IReadOnlyList<TensorComparison>>> CompareAsync(
        IReadOnlyList<ReferenceCase> cases, CancellationToken cancellationToken)
    {
        var root = Directory.CreateTempSubdirectory("zoo-");
        try
        {
            var folders = cases.Select((_, i) => root.CreateSubdirectory(i.ToString(CultureInfo.InvariantCulture)).FullName).ToList();
            var ours = cases.Zip(folders, (one, folder) => one.Compute(folder)).ToList();
            GiveBackFreedMemory();
            await PythonTorch.RunAsync("Reference/zoo_nets.py", folders, cancellationToken);
            return [.. cases.Zip(ours, folders).Select(c => c.First.Pair(c.Second, c.Third))];
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    /// <summary>
    /// Our logits, gradients and, in training, running statistics, by name; leaves the net's values in <paramref name="folder"/> for
    /// Python.
    /// </summary>
    private List<(string Name, double[] Values)> Compute(string folder)
    {
        using var scope = NewDisposeScope();
        var dtype = Single ? ScalarType.Float32 : ScalarType.Float64;
        using var network = ModelRegistry.Create(Model, Options, seed: 5, dtype);
        network.train(Training);
        var input = Normals(17, Input).to(dtype);
        using (no_grad())
        {
            foreach (var (name, buffer) in network.Buffers())
            {
                var values = Normals(CounterRandom.Word(name), buffer.shape);
                buffer.copy_(name.EndsWith("var", StringComparison.Ordinal) ? values.abs() + 0.5 : values * 0.1);
            }
        }

        var parameters = network.named_parameters().ToList();
        File.WriteAllText(Path.Combine(folder, "case.json"), JsonSerializer.Serialize(new
        {
            model = Model,
            options = Options,
            input = Input,
            training = Training,
            single = Single,
            classes = network.Shape.Classes,
            codes = Model == "lenet5_1998" ? DigitCodes.Of(network.Shape.Classes) : null,
            parameters = parameters.Select(p => new { p.name, p.parameter.shape }),
            buffers = network.Buffers().Select(b => new { name = b.Name, b.Buffer.shape }),
        }));
        using (var values = File.Create(Path.Combine(folder, "values.bin")))
        {
            values.Write(input.bytes);
            foreach (var value in parameters.Select(p => p.parameter.detach()).Concat(network.Buffers().Select(b => b.Buffer)))
                values.Write(value.contiguous().bytes);
        }

        var outputs = network.Outputs(input);
        outputs.Select(logits => (logits * arange(logits.numel(), dtype: dtype).view(logits.shape).sin()).sum())
            .Aggregate((sum, loss) => sum + loss).backward();
        return
        [
            .. outputs.Select(
                (logits, i) => (i == 0 ? "logits" : string.Create(CultureInfo.InvariantCulture, $"logits of head {i}"), Doubles(logits))),
            .. parameters.Select(p => (p.name, Doubles(p.parameter.grad!))),
            .. Training ? network.Buffers().Select(b => (b.Name, Doubles(b.Buffer))) : [],
        ];
    }

    /// <summary>
    /// Python leaves its tensors in our order as float64: at our precision and, where that is float32, computed in float64 throughout after
    /// them.
    /// </summary>
    private List<TensorComparison> Pair(List<(string Name, double[] Values)> ours, string folder)
    {
        using var file = File.OpenRead(Path.Combine(folder, "results.bin"));
        file.Length.ShouldBe(ours.Sum(tensor => (long)tensor.Values.Length) * sizeof(double) * (Single ? 2 : 1), ToString());
        var theirs = Read();
        return [.. ours.Zip(theirs, Single ? Read() : theirs)
            .Select(c => new TensorComparison(c.First.Name, c.First.Values, c.Second, c.Third))];

        List<double[]> Read() => [.. ours.Select(tensor =>
        {
            var values = new double[tensor.Values.Length];
            file.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
            return values;
        })];
    }

    /// <summary>
    /// Python's nets need the memory next, and the following case other sizes than this one: glibc and the garbage collector keep what was
    /// freed, which came to 19 GB over the zoo at full input.
    /// </summary>
    private static void GiveBackFreedMemory()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive);
        _ = TrimHeap(0);
    }

    [DllImport("libc", EntryPoint = "malloc_trim")]
    private static extern int TrimHeap(nuint kept);

    private static Tensor Normals(ulong key, long[] shape) =>
        tensor(Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(i => CounterRandom.Normal(key, (ulong)i)).ToArray(),
            shape);

    private static double[] Doubles(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return MemoryMarshal.Cast<byte, double>(tensor.detach().to(ScalarType.Float64).contiguous().bytes).ToArray();
    }
}

/// <summary>One tensor three times.</summary>
/// <param name="Name">Dotted, or "logits".</param>
/// <param name="Ours">This code's.</param>
/// <param name="Theirs">Python's at the same precision.</param>
/// <param name="Exact">Python's in float64.</param>
internal sealed record TensorComparison(string Name, double[] Ours, double[] Theirs, double[] Exact)
{
    /// <summary>The exact one's norm.</summary>
    public double Norm { get; } = TensorPrimitives.Norm<double>(Exact);

    /// <summary>‖ours − exact‖.</summary>
    public double OurDistance { get; } = TensorPrimitives.Distance<double>(Ours, Exact);

    /// <summary>‖theirs − exact‖.</summary>
    public double TheirDistance { get; } = TensorPrimitives.Distance<double>(Theirs, Exact);
}
