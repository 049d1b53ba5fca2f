using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.Models.Inception;

/// <summary>
/// Inception block within a residual one: Szegedy et al. 2016, arXiv:1602.07261, §3.2 and §3.3, Figs. 10, 11, 13, 16, 17, 19 and 20.
/// </summary>
/// <remarks>
/// (N, C, H, W) → the same: ReLU(x + scale · up(branches(x))), where <c>up</c> is the linear 1×1 convolution, with biases and without
/// normalisation, that brings the joined branches back to C channels.
/// </remarks>
internal sealed class ResidualInception : nn.Module<Tensor, Tensor>
{
    private readonly Branches branches;
    private readonly Conv2d up;
    private readonly ResidualForm form;

    public ResidualInception(Branches branches, int channels, ResidualForm form, ScalarType dtype)
        : base(nameof(ResidualInception))
    {
        (this.branches, this.form) = (branches, form);
        up = nn.Conv2d(branches.Channels, channels, 1, dtype: dtype);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        var x = up.call(branches.call(input)); // N×C×H×W
        if (form.Adds)
        {
            using Scalar scale = form.Scale;
            x = input.add(x, scale);
        }

        return form.Rectifies ? x.relu_() : x;
    }
}

/// <summary>How a block's two ways meet.</summary>
/// <param name="Adds">Whether the input is added; without, the block is the plain one of a net that the paper compares with.</param>
/// <param name="Scale">Factor on the residual: §3.3 has 0.1 to 0.3, which keeps wide nets from dying.</param>
/// <param name="Rectifies">Whether ReLU follows.</param>
internal sealed record ResidualForm(bool Adds, double Scale, bool Rectifies);
