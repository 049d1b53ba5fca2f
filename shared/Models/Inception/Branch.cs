using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models.Inception;

/// <summary>
/// One way through an Inception block: layers in a row, the last of which may lie side by side; none at all passes the input on.
/// </summary>
/// <remarks>
/// Channel counts are the published ones, which the net's width scales. A branch with a name of its own counts its layers, as in
/// <c>branch2.0</c>; in one without, each has its own name.
/// </remarks>
internal sealed class Branch
{
    private readonly UnitStyle style;
    private readonly string? name;
    private readonly List<(string Name, Layer Layer)> row = [];
    private readonly List<(string Name, Layer Layer)> ends = [];

    public Branch(UnitStyle style, int input, string? name = null) => (this.style, Channels, this.name) = (style, input, name);

    /// <summary>That go out.</summary>
    public int Channels { get; private set; }

    /// <summary>
    /// A square convolution; <paramref name="valid"/>: without padding, the papers' "V", else so that stride 1 keeps the size.
    /// </summary>
    public Branch Conv(int channels, int kernel, int stride = 1, bool valid = false, string? name = null)
    {
        var padding = valid ? 0 : kernel / 2;
        row.Add((name ?? Next, new ConvUnit(Channels, style.Scaled(channels), (kernel, kernel), stride, (padding, padding), style)));
        Channels = style.Scaled(channels);
        return this;
    }

    /// <summary>An oblong convolution that keeps the size.</summary>
    public Branch Conv(int channels, (int Height, int Width) kernel, string? name = null)
    {
        row.Add((name ?? Next, Rectangle(channels, kernel)));
        Channels = style.Scaled(channels);
        return this;
    }

    /// <summary>1×3 and 3×1 side by side, both on what the row gives: Szegedy et al. 2015, arXiv:1512.00567, Fig. 7.</summary>
    public Branch Fork(int channels, string wide, string high)
    {
        ends.Add((wide, Rectangle(channels, (1, 3))));
        ends.Add((high, Rectangle(channels, (3, 1))));
        Channels = 2 * style.Scaled(channels);
        return this;
    }

    /// <summary>Any layer that keeps the channels.</summary>
    public Branch Pool(Layer pool)
    {
        row.Add((name is null ? "pool" : Next, pool));
        return this;
    }

    /// <summary>What the block registers: submodules by name.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Modules()
    {
        if (name is not null)
            yield return (name, nn.Sequential(row));
        foreach (var (own, layer) in name is null ? [.. row, .. ends] : ends)
            yield return (own, layer);
    }

    public Tensor Forward(Tensor input)
    {
        var x = row.Aggregate(input, (map, step) => step.Layer.call(map));
        return ends.Count == 0 ? x : cat([.. ends.Select(end => end.Layer.call(x))], 1);
    }

    private string Next => row.Count.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private ConvUnit Rectangle(int channels, (int Height, int Width) kernel) =>
        new(Channels, style.Scaled(channels), kernel, 1, (kernel.Height / 2, kernel.Width / 2), style);
}
