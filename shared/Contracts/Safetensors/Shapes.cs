namespace Cluster.Contracts.Safetensors;

/// <summary>Arithmetic of boxes in a tensor's index space, row-major.</summary>
public static class Shapes
{
    public static string Text(ReadOnlySpan<long> shape) => $"({string.Join(", ", shape.ToArray())})";

    /// <summary>Whether [offset, offset + shape) lies inside [0, globalShape) in every dim.</summary>
    public static bool Contains(IReadOnlyList<long> globalShape, IReadOnlyList<long> offset, IReadOnlyList<long> shape)
    {
        if (offset.Count != globalShape.Count || shape.Count != globalShape.Count)
            return false;
        for (var dim = 0; dim < globalShape.Count; dim++)
        {
            if (offset[dim] < 0 || shape[dim] < 0 || shape[dim] > globalShape[dim] || offset[dim] > globalShape[dim] - shape[dim])
                return false;
        }

        return true;
    }

    /// <summary>
    /// Every run of elements that source box and target box share and that lies together in both: (first element in the source, first
    /// element in the target, elements). Both boxes are stored row-major; offsets are in the global tensor.
    /// </summary>
    public static IEnumerable<(long Source, long Target, long Count)> SharedRuns(
        IReadOnlyList<long> sourceOffset, IReadOnlyList<long> sourceShape, IReadOnlyList<long> targetOffset,
        IReadOnlyList<long> targetShape)
    {
        var dims = sourceShape.Count;
        var low = new long[dims];
        var high = new long[dims];
        for (var dim = 0; dim < dims; dim++)
        {
            low[dim] = Math.Max(sourceOffset[dim], targetOffset[dim]);
            high[dim] = Math.Min(sourceOffset[dim] + sourceShape[dim], targetOffset[dim] + targetShape[dim]);
            if (low[dim] >= high[dim])
                yield break;
        }

        // Dims from `inner` on are whole in both boxes, so that dim inner − 1 still runs together.
        var inner = dims;
        while (inner > 1 && IsWhole(inner - 1))
            inner--;
        var runDim = Math.Max(inner - 1, 0);
        var run = 1L;
        for (var dim = runDim; dim < dims; dim++)
            run *= high[dim] - low[dim];

        var index = (long[])low.Clone();
        while (true)
        {
            yield return (Position(index, sourceOffset, sourceShape), Position(index, targetOffset, targetShape), run);
            var dim = runDim - 1;
            while (dim >= 0 && ++index[dim] == high[dim])
            {
                index[dim] = low[dim];
                dim--;
            }

            if (dim < 0)
                yield break;
        }

        bool IsWhole(int dim) => sourceShape[dim] == targetShape[dim] && high[dim] - low[dim] == sourceShape[dim];
    }

    private static long Position(long[] index, IReadOnlyList<long> offset, IReadOnlyList<long> shape)
    {
        var position = 0L;
        for (var dim = 0; dim < index.Length; dim++)
            position = position * shape[dim] + (index[dim] - offset[dim]);
        return position;
    }
}
