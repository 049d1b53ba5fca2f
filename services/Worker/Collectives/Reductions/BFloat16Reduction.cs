using System.Runtime.CompilerServices;
using TorchSharp;

namespace Cluster.Worker.Collectives.Reductions;

/// <summary>Reckons in float32, a block at a time, and rounds after every rank.</summary>
internal sealed unsafe class BFloat16Reduction(ReduceOp op, int ranks, int code) : Reduction(sizeof(ushort), code)
{
    /// <summary>Two blocks of float32 stay in the first-level cache.</summary>
    private const int BlockLength = 1024;

    private readonly NumberReduction<float> _wide = new(op, ranks, code);

    [SkipLocalsInit]
    public override void Combine(nint left, nint right, nint target, int count)
    {
        var x = stackalloc float[BlockLength];
        var y = stackalloc float[BlockLength];
        for (var start = 0; start < count; start += BlockLength)
        {
            var length = Math.Min(BlockLength, count - start);
            BFloat16Conversion.Widen(Block(left, start, length), new Span<float>(x, length));
            BFloat16Conversion.Widen(Block(right, start, length), new Span<float>(y, length));
            _wide.Combine((nint)x, (nint)y, (nint)x, length);
            BFloat16Conversion.Narrow(new ReadOnlySpan<float>(x, length), Block(target, start, length));
        }
    }

    [SkipLocalsInit]
    public override void Finish(nint values, int count)
    {
        if (op != ReduceOp.Mean)
            return;
        var x = stackalloc float[BlockLength];
        for (var start = 0; start < count; start += BlockLength)
        {
            var block = Block(values, start, Math.Min(BlockLength, count - start));
            BFloat16Conversion.Widen(block, new Span<float>(x, block.Length));
            _wide.Finish((nint)x, block.Length);
            BFloat16Conversion.Narrow(new ReadOnlySpan<float>(x, block.Length), block);
        }
    }

    private static Span<BFloat16> Block(nint values, int start, int length) => new((BFloat16*)values + start, length);
}
