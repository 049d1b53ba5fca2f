using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Cluster.Models.Inception;

/// <summary>
/// An Inception block: branches on the same input, their outputs joined along the channels: Szegedy et al. 2014, arXiv:1409.4842, §4, Fig.
/// 2b.
/// </summary>
/// <remarks>(N, input, H, W) → (N, Channels, H′, W′).</remarks>
internal sealed class Branches : nn.Module<Tensor, Tensor>
{
    private readonly Branch[] branches;
    private readonly Layer? before;
    private readonly Layer? after;

    public Branches(params Branch[] branches)
        : this(branches, before: null, after: null)
    {
    }

    /// <param name="branches">In the order of their output's channels.</param>
    /// <param name="before">What the input goes through before it parts.</param>
    /// <param name="after">What the joined output goes through.</param>
    public Branches(Branch[] branches, Layer? before, Layer? after)
        : base(nameof(Branches))
    {
        (this.branches, this.before, this.after) = (branches, before, after);
        RegisterComponents();
        foreach (var (name, module) in branches.SelectMany(branch => branch.Modules()))
            register_module(name, module);
    }

    /// <summary>That go out.</summary>
    public int Channels => branches.Sum(branch => branch.Channels);

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = before is null ? input : before.call(input);
        x = cat([.. branches.Select(branch => branch.Forward(x))], 1); // N×Channels×H′×W′
        return after is null ? x : after.call(x);
    }
}
