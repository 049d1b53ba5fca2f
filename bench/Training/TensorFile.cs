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

    /// <summary>Every tensor's elements.</summary>
    public static Dictionary<string, float[]> ReadFloats(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return file.WeightNames.ToDictionary(name => name, name =>
        {
            var shape = file.GlobalShape(name);
            var bytes = file.ReadSliceAsync(name, new long[shape.Count], shape, CancellationToken.None).GetAwaiter().GetResult();
            return MemoryMarshal.Cast<byte, float>(bytes).ToArray();
        });
    }

    private static string NameOf(Tensor tensor) => tensor.dtype == ScalarType.Int64 ? "I64" : "F32";
}
