using Cluster.Scheduler.Access;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Scheduler.Tests.Access;

public sealed class RefusalLogTests
{
    [Fact]
    public void ManyRefusals_AreOneLineInTenSeconds_AndTheNextSaysHowManyWereLeftOut()
    {
        using var captured = new CapturedLog();
        var time = new FakeTimeProvider();
        using var services = new ServiceCollection().AddMetrics().AddLogging(logging => logging.AddProvider(captured))
            .AddSingleton<TimeProvider>(time).AddSingleton<RefusalLog>().BuildServiceProvider();
        var refusals = services.GetRequiredService<RefusalLog>();

        for (var guess = 0; guess < 1000; guess++)
            refusals.Refused("/cluster.v1.JobService/GetJob", "ipv4:10.0.0.9:1234", "the token is not known here");
        time.Advance(TimeSpan.FromSeconds(10));
        refusals.Refused("/cluster.v1.JobService/ListJobs", "ipv4:10.0.0.9:1234", "the token is not known here");

        captured.Entries.Select(entry => entry.Message).ShouldBe(
        [
            "Refused /cluster.v1.JobService/GetJob from ipv4:10.0.0.9:1234: the token is not known here (0 more since the last such line)",
            "Refused /cluster.v1.JobService/ListJobs from ipv4:10.0.0.9:1234: "
                + "the token is not known here (999 more since the last such line)",
        ]);
        captured.Entries.ShouldAllBe(entry => entry.Level == LogLevel.Warning);
    }
}
