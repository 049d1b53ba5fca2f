using Cluster.Bench.Measuring;

namespace Cluster.Bench.Training;

/// <summary>How one step's exchange of gradients lay beside its computation, on one rank.</summary>
/// <param name="Backward">Seconds from the end of forward to the end of backward, exchanges of statistics among them.</param>
/// <param name="Exchange">Seconds in which gradients were under way, waits for the other rank among them.</param>
/// <param name="Hidden">Those of them that lie before the end of backward.</param>
/// <param name="Begun">The share of the gradients' exchanges that had begun by then.</param>
/// <param name="Statistics">Seconds in exchanges of batch normalisation's statistics, for which computation stands still.</param>
internal sealed record ExchangeProfile(double Backward, double Exchange, double Hidden, double Begun, double Statistics)
{
    public double HiddenShare => Exchange == 0 ? 0 : Hidden / Exchange;

    /// <summary>Figure by figure.</summary>
    public static ExchangeProfile Median(IReadOnlyCollection<ExchangeProfile> profiles)
    {
        return new ExchangeProfile(
            Of(one => one.Backward), Of(one => one.Exchange), Of(one => one.Hidden), Of(one => one.Begun), Of(one => one.Statistics));

        double Of(Func<ExchangeProfile, double> figure) => Interleaved.Median([.. profiles.Select(figure)]);
    }
}
