using Cluster.Placement.Backfill;

namespace Cluster.Placement.Preemption;

/// <summary>Which jobs to stop for another one: those that lose the least work together.</summary>
/// <remarks>
/// First a set is found that does: job by job, the one first that loses least for each device of use. What turns out not to be needed is
/// given back. Then other sets are tried, branch and bound, as long as they could lose less: all of them where there are few, and as many
/// as the policy allows where there are many.
/// </remarks>
internal sealed class VictimSearch(RoomTally tally, Func<bool> isWithinQuotas, int sets)
{
    private readonly List<Victim> _chosen = [];
    private List<Victim>? _best;
    private double _bestLoss = double.PositiveInfinity;
    private int _setsLeft = sets;

    /// <param name="victims">In any order.</param>
    /// <returns>Null if there is none, of those that were tried.</returns>
    public IReadOnlyList<Victim>? Find(IReadOnlyList<Victim> victims)
    {
        List<Victim> ordered = [.. victims.OrderBy(v => v.LossPerDevice).ThenBy(v => v.Loss).ThenBy(v => v.Job.Id.Value)];
        ChooseUntilItFits(ordered);
        Branch(ordered, 0, 0);
        // Of those that lose nothing some may not be needed.
        _best?.ForEach(Choose);
        return _best is null ? null : GiveBack();
    }

    /// <summary>Whether all sets were tried that could lose less.</summary>
    public bool IsExhaustive => _setsLeft >= 0;

    private bool Suffices => tally.Fits && isWithinQuotas();

    private void ChooseUntilItFits(List<Victim> ordered)
    {
        foreach (var victim in ordered)
        {
            if (!Suffices && MayJoin(victim))
                Choose(victim);
        }

        if (Suffices)
            Note(GiveBack());
        else
            _chosen.ToList().ForEach(Unchoose);
    }

    /// <summary>Whoever loses most is given back first.</summary>
    /// <returns>The rest; nobody is chosen any more.</returns>
    private List<Victim> GiveBack()
    {
        foreach (var victim in _chosen.OrderByDescending(v => v.Loss).ToList())
        {
            Unchoose(victim);
            if (!Suffices)
                Choose(victim);
        }

        var rest = _chosen.ToList();
        rest.ForEach(Unchoose);
        return rest;
    }

    private void Branch(List<Victim> ordered, int next, double loss)
    {
        if (Suffices)
        {
            Note([.. _chosen]);
            return;
        }

        if (next == ordered.Count || loss + AtLeast(ordered, next) >= _bestLoss || --_setsLeft < 0)
            return;
        if (MayJoin(ordered[next]))
        {
            Choose(ordered[next]);
            Branch(ordered, next + 1, loss + ordered[next].Loss);
            Unchoose(ordered[next]);
        }

        Branch(ordered, next + 1, loss);
    }

    /// <summary>What the devices that lack cost at least, were jobs divisible.</summary>
    private double AtLeast(List<Victim> ordered, int next)
    {
        var (lack, loss) = (tally.Lack, 0.0);
        for (; lack > 0; next++)
        {
            if (next == ordered.Count)
                return double.PositiveInfinity;
            loss += Math.Min(lack, ordered[next].Useful) * ordered[next].LossPerDevice;
            lack -= ordered[next].Useful;
        }

        return loss;
    }

    /// <summary>A queue is beyond its quota until the last of its jobs goes, whichever of them is the last: the largest, at best.</summary>
    private bool MayJoin(Victim victim)
    {
        foreach (var lender in victim.Lenders)
        {
            var (sum, largest) = ((long)victim.Frees.Length, victim.Frees.Length);
            foreach (var other in _chosen.Where(other => other.Lenders.Contains(lender)))
                (sum, largest) = (sum + other.Frees.Length, Math.Max(largest, other.Frees.Length));
            // Those that are chosen already have left it.
            var kind = victim.Job.Kind;
            var beyond = lender.Staying(kind) + sum - victim.Frees.Length - lender.Nominal(kind);
            if (sum - largest >= beyond)
                return false;
        }

        return true;
    }

    private void Note(List<Victim> victims)
    {
        var loss = victims.Sum(v => v.Loss);
        if (loss < _bestLoss)
            (_best, _bestLoss) = (victims, loss);
    }

    private void Choose(Victim victim)
    {
        _chosen.Add(victim);
        tally.Free(victim.Frees, victim.Job.Memory);
        victim.Job.Queue.Charge(victim.Job.Owner, victim.Job.Kind, -victim.Frees.Length);
    }

    private void Unchoose(Victim victim)
    {
        _chosen.Remove(victim);
        tally.Unfree(victim.Frees, victim.Job.Memory);
        victim.Job.Queue.Charge(victim.Job.Owner, victim.Job.Kind, victim.Frees.Length);
    }
}
