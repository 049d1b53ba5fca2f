using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary>Inverted dropout (Srivastava et al. 2014, §10): kept units are divided by the keep probability while training, nothing changes at test.</summary>
/// <remarks>
/// (N, units) → the same. A unit's fate depends on (seed, step, layer, sample within the global batch, unit within the undivided layer) alone, so one
/// device, ranks that share the batch and ranks that share the layer all drop the same ones.
/// </remarks>
public sealed class CounterDropout : nn.Module<Tensor, Tensor>
{
    private readonly ulong layer;
    private readonly double probability;
    private readonly long firstUnit;
    private readonly long layerUnits;
    private readonly StepPosition position;

    /// <param name="layer">A name that tells the model's dropout layers apart.</param>
    /// <param name="probability">Of dropping a unit, in [0, 1).</param>
    /// <param name="layerUnits">Units of the undivided layer.</param>
    /// <param name="firstUnit">Index of the first unit held here.</param>
    /// <param name="position">The model's.</param>
    public CounterDropout(string layer, double probability, long layerUnits, long firstUnit, StepPosition position)
        : base(nameof(CounterDropout))
    {
        if (probability is not (>= 0 and < 1))
            throw new ArgumentOutOfRangeException(nameof(probability), probability, "the probability of dropping a unit must lie in [0, 1)");
        this.layer = CounterRandom.Word(layer);
        (this.probability, this.layerUnits, this.firstUnit, this.position) = (probability, layerUnits, firstUnit, position);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        if (!training || probability == 0)
            return input.alias(); // its own reference: a sequence disposes of what lies between its layers

        var mask = empty(input.shape, dtype: input.dtype); // in the CPU's memory, where the counter runs
        if (input.dtype == ScalarType.Float64)
            Fill(MemoryMarshal.Cast<byte, double>(mask.bytes), input.shape[1], 1 / (1 - probability));
        else
            Fill(MemoryMarshal.Cast<byte, float>(mask.bytes), input.shape[1], (float)(1 / (1 - probability)));
        return input * mask.to(input.device);
    }

    private void Fill<T>(Span<T> mask, long units, T kept)
        where T : struct
    {
        var key = CounterRandom.Key(position.Seed, CounterRandom.Word("dropout"), layer, (ulong)position.Step);
        var threshold = (ulong)(probability * ulong.MaxValue);
        var samples = mask.Length / units;
        for (var n = 0L; n < samples; n++)
        {
            var row = mask.Slice((int)(n * units), (int)units);
            var first = (ulong)(((position.FirstSample + n) * layerUnits) + firstUnit);
            for (var u = 0; u < row.Length; u++)
                row[u] = CounterRandom.Bits(key, first + (ulong)u) >= threshold ? kept : default;
        }
    }
}
