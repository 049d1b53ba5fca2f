using Cluster.Bench.Scheduling;

namespace Cluster.Worker.Tests.Scheduling;

public sealed class UnixTimeTests
{
    [Theory]
    [InlineData("1795967396.373654")]
    [InlineData("1795967396,373654")] // where bash speaks a language with decimal commas
    public void Time_OfAScript_IsReadToTheMicrosecond(string text) =>
        UnixTime.Parse(text).ShouldBe(1_795_967_396.373654, tolerance: 1e-6);
}
