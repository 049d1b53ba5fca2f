using TorchSharp.Interop;
using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>A number of any supported type as an operator's argument; documented at TorchSharp's Scalar.cs.</summary>
/// <remarks>The genuine type owns native memory; this one does not, but the disposal contract is kept for its callers.</remarks>
public sealed class Scalar : IDisposable
{
    private readonly long _bits;

    private Scalar(ScalarType type, long bits)
    {
        Type = type;
        _bits = bits;
    }

    /// <summary>The type libtorch gives the number: Int64, Float64 or Bool.</summary>
    public ScalarType Type { get; }

    public static implicit operator Scalar(byte value) => Integer(value);
    public static implicit operator Scalar(sbyte value) => Integer(value);
    public static implicit operator Scalar(short value) => Integer(value);
    public static implicit operator Scalar(int value) => Integer(value);
    public static implicit operator Scalar(long value) => Integer(value);
    public static implicit operator Scalar(Half value) => Real((double)value);
    public static implicit operator Scalar(float value) => Real(value);
    public static implicit operator Scalar(double value) => Real(value);
    public static implicit operator Scalar(bool value) => new(ScalarType.Bool, value ? 1 : 0);

    public void Dispose() { }

    internal double AsDouble() => Type == ScalarType.Float64 ? BitConverter.Int64BitsToDouble(_bits) : _bits;

    internal long AsInt64() => Type == ScalarType.Float64 ? (long)BitConverter.Int64BitsToDouble(_bits) : _bits;

    internal Argument ToArgument() => Type switch
    {
        ScalarType.Float64 => BitConverter.Int64BitsToDouble(_bits),
        ScalarType.Bool => _bits != 0,
        _ => _bits
    };

    private static Scalar Integer(long value) => new(ScalarType.Int64, value);

    private static Scalar Real(double value) => new(ScalarType.Float64, BitConverter.DoubleToInt64Bits(value));
}

/// <summary>Conversions between numbers and <see cref="Scalar"/>.</summary>
public static class ScalarExtensionMethods
{
    public static Scalar ToScalar(this int value) => value;
    public static Scalar ToScalar(this long value) => value;
    public static Scalar ToScalar(this float value) => value;
    public static Scalar ToScalar(this double value) => value;
    public static Scalar ToScalar(this bool value) => value;

    public static float ToSingle(this Scalar value) => (float)value.AsDouble();
    public static double ToDouble(this Scalar value) => value.AsDouble();
    public static int ToInt32(this Scalar value) => (int)value.AsInt64();
    public static long ToInt64(this Scalar value) => value.AsInt64();
    public static bool ToBoolean(this Scalar value) => value.AsDouble() != 0;
}
