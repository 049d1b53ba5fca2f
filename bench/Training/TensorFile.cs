using System.Runtime.InteropServices;
using Cluster.Contracts.Safetensors;
using Cluster.Worker.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Bench.Training;

/// <summary>Tensors by name in a safetensors file, for the peer's script and from it.</summary>
internal static class TensorFile
{
    /// <param name="path">Overwritten.</param>
    /// <param name="tensors">Float32 or int64, in the CPU's memory.</param>
    public static void Write(string path, IEnumerable<(string Name, Tensor Tensor)> tensors)
    {
        using var scope = NewDisposeScope();
        var ordered = SafetensorsWriter.DataOrder(tensors, t => NameOf(t.Tensor), t => t.Name).ToList();
        using var file = File.Create(path);
        file.Write(SafetensorsWriter.Header([.. ordered.Select(t => (t.Name, NameOf(t.Tensor), t.Tensor.shape))]));
        foreach (var (_, tensor) in ordered)
            file.Write(tensor.detach().contiguous().bytes);
    }

    /// <summary>Every tensor's elements, of float32 or float64.</summary>
    public static Dictionary<string, double[]> ReadElements(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return file.WeightNames.ToDictionary(name => name, name =>
        {
            var bytes = ReadBytes(file, name);
            return file.DTypeAsync(name, CancellationToken.None).GetAwaiter().GetResult() == "F64"
                ? MemoryMarshal.Cast<byte, double>(bytes).ToArray()
                : Array.ConvertAll(MemoryMarshal.Cast<byte, float>(bytes).ToArray(), element => (double)element);
        });
    }

    /// <summary>Every tensor, of float32 or int64.</summary>
    public static Dictionary<string, Tensor> Read(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return file.WeightNames.ToDictionary(name => name, name =>
        {
            var (bytes, shape) = (ReadBytes(file, name), file.GlobalShape(name).ToArray());
            return file.DTypeAsync(name, CancellationToken.None).GetAwaiter().GetResult() == "I64"
                ? tensor(MemoryMarshal.Cast<byte, long>(bytes).ToArray()).reshape(shape)
                : tensor(MemoryMarshal.Cast<byte, float>(bytes).ToArray()).reshape(shape);
        });
    }

    /// <summary>Of files that hold rows of the same tensors: one with all of them.</summary>
    /// <param name="path">Overwritten.</param>
    /// <param name="parts">In the order of the rows; a tensor may be in one of them alone.</param>
    public static void Join(string path, IReadOnlyList<string> parts)
    {
        if (parts is [var whole])
        {
            File.Move(whole, path, overwrite: true);
            return;
        }

        using var scope = NewDisposeScope();
        var rows = new Dictionary<string, List<Tensor>>();
        foreach (var part in parts)
        {
            using var file = SafetensorsFile.Open(part);
            foreach (var name in file.WeightNames)
            {
                if (!rows.TryGetValue(name, out var known))
                    rows.Add(name, known = []);
                known.Add(tensor(MemoryMarshal.Cast<byte, float>(ReadBytes(file, name)).ToArray()).reshape([.. file.GlobalShape(name)]));
            }
        }

        Write(path, rows.Select(pair => (pair.Key, cat(pair.Value.ToArray(), 0))));
    }

    private static byte[] ReadBytes(SafetensorsFile file, string name)
    {
        var shape = file.GlobalShape(name);
        return file.ReadSliceAsync(name, new long[shape.Count], shape, CancellationToken.None).GetAwaiter().GetResult();
    }

    private static string NameOf(Tensor tensor) => tensor.dtype == ScalarType.Int64 ? "I64" : "F32";
}
