using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

internal enum ArgumentKind
{
    None = 0, Tensor = 1, Int = 2, Double = 3, Bool = 4, Ints = 5, Tensors = 6, OptionalTensors = 7, Device = 8, String = 9, Generator = 10
}

/// <summary>One argument as the native side reads it; mirrors <c>Argument</c> in Operators.cpp.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeArgument
{
    public ArgumentKind Kind;
    public long Value;
    public long Length;
}

/// <summary>
/// One argument of an operator of libtorch's dispatcher. It keeps the object behind a handle referenced for the duration of the call.
/// A schema's <c>float</c> must be given a double, its <c>Scalar</c> takes any number.
/// </summary>
internal readonly struct Argument
{
    private Argument(ArgumentKind kind, long value, object? reference = null)
    {
        Kind = kind;
        Value = value;
        Reference = reference;
    }

    public static Argument None => default;

    public ArgumentKind Kind { get; }
    public long Value { get; }
    public object? Reference { get; }

    /// <summary>How many 8-byte words of list memory the argument needs beside itself.</summary>
    public int ListWords => Kind switch
    {
        ArgumentKind.Ints => ((long[])Reference!).Length,
        ArgumentKind.Tensors or ArgumentKind.OptionalTensors => ((torch.Tensor?[])Reference!).Length,
        ArgumentKind.String => (System.Text.Encoding.UTF8.GetByteCount((string)Reference!) + 7) / 8,
        _ => 0
    };

    public static Argument OptionalTensors(torch.Tensor?[] tensors) => new(ArgumentKind.OptionalTensors, 0, tensors);

    public static implicit operator Argument(torch.Tensor? tensor) =>
        tensor is null ? None : new Argument(ArgumentKind.Tensor, tensor.Handle, tensor);
    public static implicit operator Argument(torch.Tensor[] tensors) => new(ArgumentKind.Tensors, 0, tensors);
    public static implicit operator Argument(long value) => new(ArgumentKind.Int, value);
    public static implicit operator Argument(long? value) => value is { } given ? given : None;
    public static implicit operator Argument(double value) => new(ArgumentKind.Double, BitConverter.DoubleToInt64Bits(value));
    public static implicit operator Argument(double? value) => value is { } given ? given : None;
    public static implicit operator Argument(bool value) => new(ArgumentKind.Bool, value ? 1 : 0);
    public static implicit operator Argument(bool? value) => value is { } given ? given : None;
    public static implicit operator Argument(long[]? values) => values is null ? None : new Argument(ArgumentKind.Ints, 0, values);
    public static implicit operator Argument(string? text) => text is null ? None : new Argument(ArgumentKind.String, 0, text);
    public static implicit operator Argument(torch.ScalarType type) => new(ArgumentKind.Int, (long)type);
    public static implicit operator Argument(torch.ScalarType? type) => type is { } given ? given : None;
    public static implicit operator Argument(torch.Device? device) => device is null ? None : new Argument(ArgumentKind.Device, 0, device);
    public static implicit operator Argument(torch.Generator? generator) =>
        generator is null ? None : new Argument(ArgumentKind.Generator, generator.Handle, generator);
    public static implicit operator Argument(Scalar? scalar) => scalar is null ? None : scalar.ToArgument();
}
