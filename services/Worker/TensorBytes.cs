using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker;

/// <summary>Between tensors and the bytes that files hold.</summary>
internal static class TensorBytes
{
    /// <summary>A floating-point type by safetensors' name.</summary>
    /// <exception cref="InvalidDataException">The name is of no such type.</exception>
    public static ScalarType TypeOf(string dtype) => dtype switch
    {
        "F64" => ScalarType.Float64,
        "F32" => ScalarType.Float32,
        "F16" => ScalarType.Float16,
        "BF16" => ScalarType.BFloat16,
        _ => throw new InvalidDataException($"dtype '{dtype}' is none of F64, F32, F16, BF16"),
    };

    /// <summary>Safetensors' name of float32 or float64.</summary>
    public static string NameOf(ScalarType type) => type == ScalarType.Float64 ? "F64" : "F32";

    /// <summary>Replaces a tensor's elements, converted from their stored type to its own.</summary>
    public static void Overwrite(Tensor tensor, string dtype, byte[] bytes)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var source = empty(tensor.shape, dtype: TypeOf(dtype));
        bytes.CopyTo(source.bytes);
        tensor.copy_(source);
    }
}
