using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Models.Layers;

/// <summary>
/// Dropout: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", §4 (original form) and §10
/// (inverted).
/// </summary>
/// <remarks>
/// (N, units) → the same. A unit's fate depends on (seed, step, layer, sample within the global batch, unit within the undivided layer)
/// alone, so one device, ranks that share the batch and ranks that share the layer all drop the same ones.
/// </remarks>
public sealed class CounterDropout : nn.Module<Tensor, Tensor>
{
    private readonly ulong layer;
    private readonly double probability;
    private readonly long firstUnit;
    private readonly long layerUnits;
    private readonly StepPosition position;
    private readonly DropoutForm form;

    /// <param name="layer">A name that tells the model's dropout layers apart.</param>
    /// <param name="probability">Of dropping a unit, in [0, 1).</param>
    /// <param name="layerUnits">Units of the undivided layer.</param>
    /// <param name="firstUnit">Index of the first unit held here.</param>
    /// <param name="position">The model's.</param>
    /// <param name="form">Where the dropped units are made up for.</param>
    public CounterDropout(
        string layer, double probability, long layerUnits, long firstUnit, StepPosition position, DropoutForm form = DropoutForm.Inverted)
        : base(nameof(CounterDropout))
    {
        if (probability is not (>= 0 and < 1))
            throw new ArgumentOutOfRangeException(
                nameof(probability), probability, "the probability of dropping a unit must lie in [0, 1)");
        this.layer = CounterRandom.Word(layer);
        (this.probability, this.layerUnits, this.firstUnit, this.position, this.form) = (
            probability, layerUnits, firstUnit, position, form);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        if (!training && form == DropoutForm.Original)
        {
            using Scalar keep = 1 - probability;
            return input * keep;
        }

        if (!training || probability == 0)
            return input.alias(); // its own reference: a sequence disposes of what lies between its layers

        return input * (input.device_type == DeviceType.CPU
            ? Mask(input.shape, input.dtype)
            : MaskByOperators(input.shape, input.dtype, input.device));
    }

    /// <summary>What kept units are multiplied by.</summary>
    private double Kept => form == DropoutForm.Inverted ? 1 / (1 - probability) : 1;

    private ulong Threshold => (ulong)(probability * ulong.MaxValue);

    private ulong Key => CounterRandom.Key(position.Seed, CounterRandom.Word("dropout"), layer, (ulong)position.Step);

    /// <summary>The same mask as <see cref="Mask"/>'s, made on a device, which is faster there than to make it here and send it.</summary>
    internal Tensor MaskByOperators(long[] shape, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        using Scalar kept = Kept;
        var first = (position.FirstSample * layerUnits) + firstUnit;
        var bits = CounterRandom.Bits(Key, first, shape[0], layerUnits, shape[1], device);
        return CounterRandom.IsAtLeast(bits, Threshold).to(dtype).mul_(kept).MoveToOuterDisposeScope();
    }

    /// <summary>In the CPU's memory.</summary>
    internal Tensor Mask(long[] shape, ScalarType dtype)
    {
        var wide = dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        var mask = empty(shape, dtype: wide);
        if (wide == ScalarType.Float64)
            Fill(MemoryMarshal.Cast<byte, double>(mask.bytes), shape[1], Kept);
        else
            Fill(MemoryMarshal.Cast<byte, float>(mask.bytes), shape[1], (float)Kept);
        return mask.to(dtype);
    }

    private void Fill<T>(Span<T> mask, long units, T kept)
        where T : struct
    {
        var (key, threshold) = (Key, Threshold);
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

/// <summary>Where dropout makes up for the units that it drops.</summary>
public enum DropoutForm
{
    /// <summary>While training: kept units are divided by the keep probability.</summary>
    Inverted,

    /// <summary>At test: every unit is multiplied by the keep probability, as in 2012.</summary>
    Original,
}
