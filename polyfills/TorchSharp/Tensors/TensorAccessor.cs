using System.Collections;

namespace TorchSharp.Utils;

/// <summary>
/// Reads and writes a CPU tensor's elements in place, in row-major order whatever the strides. It keeps the tensor referenced.
/// </summary>
public sealed class TensorAccessor<T> : IDisposable, IEnumerable<T> where T : unmanaged
{
    private readonly IntPtr _data;
    private torch.Tensor? _tensor;

    internal TensorAccessor(torch.Tensor tensor)
    {
        _data = tensor.DataPointer();
        _tensor = tensor;
    }

    public long Count => _tensor?.NumberOfElements ?? 0;

    private torch.Tensor Tensor => _tensor ?? throw new ObjectDisposedException(nameof(TensorAccessor<T>));

    /// <summary>One index counts elements in row-major order; several are one index a dim.</summary>
    public unsafe T this[params long[] indices]
    {
        get => ((T*)_data)[OffsetOf(indices)];
        set => ((T*)_data)[OffsetOf(indices)] = value;
    }

    public T[] ToArray()
    {
        var result = new T[Count];
        if (result.Length > 0) CopyTo(result);
        return result;
    }

    public void CopyTo(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyTo(array.AsSpan(), arrayIndex, tensorIndex);

    /// <summary>Copies until the tensor or the array ends.</summary>
    public unsafe void CopyTo(Span<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        CheckStart(tensorIndex);
        var target = array[arrayIndex..];
        var count = (int)Math.Min(target.Length, Count - tensorIndex);
        if (Tensor.is_contiguous())
        {
            new ReadOnlySpan<T>((T*)_data + tensorIndex, count).CopyTo(target);
            return;
        }
        var offsets = new StridedOffsets(Tensor, tensorIndex);
        for (var i = 0; i < count; i++) target[i] = ((T*)_data)[offsets.Next()];
    }

    public void CopyFrom(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyFrom((ReadOnlySpan<T>)array, arrayIndex, tensorIndex);

    /// <summary>Copies until the tensor or the array ends.</summary>
    public unsafe void CopyFrom(ReadOnlySpan<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        CheckStart(tensorIndex);
        var source = array[arrayIndex..];
        var count = (int)Math.Min(source.Length, Count - tensorIndex);
        if (Tensor.is_contiguous())
        {
            source[..count].CopyTo(new Span<T>((T*)_data + tensorIndex, count));
            return;
        }
        var offsets = new StridedOffsets(Tensor, tensorIndex);
        for (var i = 0; i < count; i++) ((T*)_data)[offsets.Next()] = source[i];
    }

    public IEnumerator<T> GetEnumerator()
    {
        var offsets = new StridedOffsets(Tensor, 0);
        for (long i = 0, count = Count; i < count; i++) yield return At(offsets.Next());
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Lets go of the tensor without disposing of it.</summary>
    public void Dispose() => _tensor = null;

    private unsafe T At(long offset) => ((T*)_data)[offset];

    private void CheckStart(long tensorIndex)
    {
        if (tensorIndex < 0 || tensorIndex >= Count) throw new ArgumentOutOfRangeException(nameof(tensorIndex));
    }

    private long OffsetOf(long[] indices)
    {
        var (shape, strides) = (Tensor.shape, Tensor.stride());
        if (indices.Length == 1)
        {
            if (indices[0] < 0 || indices[0] >= Count) throw new IndexOutOfRangeException($"{indices[0]} in a tensor of {Count} elements.");
            return StridedOffsets.Of(indices[0], shape, strides);
        }
        if (indices.Length != shape.Length) throw new ArgumentException($"{indices.Length} indices for a tensor of {shape.Length} dimensions.");
        var offset = 0L;
        for (var dim = 0; dim < indices.Length; dim++)
        {
            if (indices[dim] < 0 || indices[dim] >= shape[dim])
                throw new IndexOutOfRangeException($"{indices[dim]} >= {shape[dim]} in dimension {dim}.");
            offset += indices[dim] * strides[dim];
        }
        return offset;
    }
}

/// <summary>Walks a strided tensor in row-major order, giving each element's offset from the first one's.</summary>
internal struct StridedOffsets
{
    private readonly long[] _shape;
    private readonly long[] _strides;
    private readonly long[] _position;
    private long _offset;

    public StridedOffsets(torch.Tensor tensor, long start)
    {
        (_shape, _strides) = (tensor.shape, tensor.stride());
        _position = new long[_shape.Length];
        for (var (dim, rest) = (_shape.Length - 1, start); dim >= 0; dim--) (rest, _position[dim]) = Math.DivRem(rest, _shape[dim]);
        _offset = Of(start, _shape, _strides);
    }

    public static long Of(long index, long[] shape, long[] strides)
    {
        var offset = 0L;
        for (var dim = shape.Length - 1; dim >= 0; dim--)
        {
            (index, var position) = Math.DivRem(index, shape[dim]);
            offset += position * strides[dim];
        }
        return offset;
    }

    public long Next()
    {
        var current = _offset;
        for (var dim = _shape.Length - 1; dim >= 0; dim--)
        {
            _offset += _strides[dim];
            if (++_position[dim] < _shape[dim]) break;
            _offset -= _shape[dim] * _strides[dim];
            _position[dim] = 0;
        }
        return current;
    }
}
