using static TorchSharp.torch;

namespace Cluster.Models;

/// <summary>
/// Which part of a network is built here, and how it meets the others: the seam where model parallelism plugs in its collectives.
/// </summary>
/// <remarks>
/// A divided layer holds its share of the output channels or units, as rows (dim 0) of the whole net's parameter under the same name, and
/// sees all channels of what comes in. The parts talk in <see cref="Gather"/>, <see cref="GatherSamples"/> and <see cref="Finish"/>; every
/// one of them is called by all parts in the same order.
/// </remarks>
/// <param name="Part">The part computed here, from 0.</param>
/// <param name="Parts">Parts of the net.</param>
/// <param name="Gather">(N, c, …) → (N, Parts·c, …): all parts' channels in their order. Each part goes on to use all of them for something
/// else, so backward adds the gradients of all parts and keeps this part's channels.</param>
/// <param name="Finish">(N, classes/Parts) → the scores that this part's loss is of.</param>
public sealed record ChannelSplit(int Part, int Parts, Func<Tensor, Tensor> Gather, Func<Tensor, Tensor> Finish)
{
    /// <summary>The whole net in one place.</summary>
    public static ChannelSplit None { get; } = new(0, 1, x => x, x => x);

    /// <summary>
    /// (n, C, H, W) → (N, C, H, W): all parts' samples. Given, the convolutions are whole in every part, each with samples of its own, and
    /// only the fully connected layers are divided (Krizhevsky 2014, arXiv:1404.5997, §4). Null: each part sees every sample and all layers
    /// are divided.
    /// </summary>
    public Func<Tensor, Tensor>? GatherSamples { get; init; }

    /// <summary>Whether convolutions are divided too.</summary>
    public bool DividesConvolutions => GatherSamples is null;

    /// <summary>
    /// Whether a parameter is held in rows: those of fully connected layers, which nets name <c>classifier</c> or <c>fc</c>, and others
    /// with <see cref="DividesConvolutions"/>.
    /// </summary>
    public bool Divides(string parameter) => Parts > 1
        && (DividesConvolutions || parameter.StartsWith("classifier.", StringComparison.Ordinal)
            || parameter.StartsWith("fc", StringComparison.Ordinal));

    /// <summary>The share of a divided layer's channels or units that is held here.</summary>
    /// <exception cref="ModelOptionException">They cannot be shared evenly.</exception>
    public int Own(int channels) => channels % Parts == 0
        ? channels / Parts
        : throw new ModelOptionException($"a layer has {channels} channels or units, which {Parts} devices cannot share evenly; "
            + "change model.options.width or classes, or the devices");

    /// <summary>As <see cref="Own"/>, of a convolution.</summary>
    public int OwnOfConvolution(int channels) => DividesConvolutions ? Own(channels) : channels;

    /// <summary>Makes a divided layer gather what comes in. For layers of a sequence, which have no other place for it.</summary>
    public TLayer Gathering<TLayer>(TLayer layer)
        where TLayer : nn.Module<Tensor, Tensor>
    {
        if (Parts > 1)
            layer.register_forward_pre_hook((_, input) => Gather(input));
        return layer;
    }

    /// <summary>As <see cref="Gathering"/>, of a convolution.</summary>
    public TLayer GatheringConvolution<TLayer>(TLayer layer)
        where TLayer : nn.Module<Tensor, Tensor> => DividesConvolutions ? Gathering(layer) : layer;
}
