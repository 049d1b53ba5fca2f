using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models.Inception;

/// <summary>The row of layers and blocks that an Inception net is, under the names of their parameters.</summary>
internal sealed class Stages
{
    private readonly List<(string Name, Layer Layer, (string Name, Layer Layer)? Head)> all = [];

    /// <param name="style">Of every convolution.</param>
    /// <param name="shape">Of the images.</param>
    public Stages(UnitStyle style, ClassifierShape shape)
    {
        (Style, Channels) = (style, shape.Channels);
        IsSmall = shape.InputSize <= CommonOptions.LargestSmallInput;
        FirstStride = shape.InputSize < CommonOptions.HalvedSmallInput ? 1 : 2;
    }

    public UnitStyle Style { get; }

    /// <summary>Channels of the last stage so far.</summary>
    public int Channels { get; private set; }

    /// <summary>Images of 28 to 64 pixels: stems then shrink them by <see cref="FirstStride"/> alone.</summary>
    public bool IsSmall { get; }

    /// <summary>Of the first convolution: 1 below 48 pixels.</summary>
    public int FirstStride { get; }

    public IReadOnlyList<(string Name, Layer Layer, (string Name, Layer Layer)? Head)> All => all;

    /// <summary>A convolution with <paramref name="channels"/> of the published net.</summary>
    public Stages Conv(string name, int channels, int kernel, int stride = 1, int padding = 0)
    {
        var output = Style.Scaled(channels);
        return Add(name, new ConvUnit(Channels, output, (kernel, kernel), stride, (padding, padding), Style), output);
    }

    /// <summary>The first of the nets for 299 pixels: 3×3, two pixels apart and without padding.</summary>
    public Stages FirstConv(string name, int channels) => Conv(name, channels, 3, IsSmall ? FirstStride : 2, IsSmall ? 1 : 0);

    /// <summary>A stem's 3×3 convolution: the papers', or for small images one that keeps the size.</summary>
    public Stages StemConv(string name, int channels, int stride = 1, bool valid = true) =>
        Conv(name, channels, 3, IsSmall ? 1 : stride, IsSmall || !valid ? 1 : 0);

    /// <summary>A block on what the stages so far give.</summary>
    public Stages Block(string name, Func<UnitStyle, int, Branches> block)
    {
        var branches = block(Style, Channels);
        return Add(name, branches, branches.Channels);
    }

    /// <summary>A layer that keeps the channels.</summary>
    public Stages Keep(string name, Layer layer) => Add(name, layer, Channels);

    /// <summary>As <see cref="Keep"/>, but not in nets for small images.</summary>
    public Stages KeepIfLarge(string name, Func<Layer> layer) => IsSmall ? this : Keep(name, layer());

    /// <summary>Any other layer.</summary>
    public Stages Add(string name, Layer layer, int channels)
    {
        all.Add((name, layer, Head: null));
        Channels = channels;
        return this;
    }

    /// <summary>Residual blocks of one kind.</summary>
    public Stages Residual(string name, int count, Func<UnitStyle, int, Branches> block, ResidualForm form) => Keep(
        name, nn.Sequential(
            Enumerable.Range(0, count).Select(Layer (_) => new ResidualInception(block(Style, Channels), Channels, form, Style.Dtype))));

    /// <summary>A head on the last stage's map, where the net has heads.</summary>
    public Stages Head(string name, bool present, Func<int, Layer> head)
    {
        if (present)
            all[^1] = all[^1] with { Head = (name, head(Channels)) };
        return this;
    }
}
