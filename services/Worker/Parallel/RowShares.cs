using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>Parameters that several ranks hold alike, divided among them by rows (dim 0): each row has one rank that updates it.</summary>
internal static class RowShares
{
    /// <summary>
    /// A rank's rows of each parameter, as views of it and of its gradient; parameters of which it has none are left out. To be disposed of
    /// by the caller.
    /// </summary>
    public static IReadOnlyList<LocalParameter> Of(IReadOnlyList<LocalParameter> parameters, int rank, int worldSize) =>
    [
        .. parameters.Select(parameter => (Whole: parameter, Rows: Slices.Of((int)parameter.Shape[0], worldSize, rank)))
            .Where(share => share.Rows.Count > 0)
            .Select(share => share.Whole with
            {
                Tensor = View(share.Whole, share.Rows.Start, share.Rows.Count),
                Offset = [share.Whole.Offset[0] + share.Rows.Start, .. share.Whole.Offset.Skip(1)],
                IsOwner = true,
            }),
    ];

    private static Tensor View(LocalParameter parameter, int start, int count)
    {
        using var scope = NewDisposeScope();
        var rows = parameter.Tensor.detach().narrow(0, start, count);
        rows.grad = parameter.Tensor.grad?.narrow(0, start, count);
        return rows.DetachFromDisposeScope();
    }
}
