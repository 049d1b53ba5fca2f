using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>Reports as their callers see them.</summary>
[Collection(typeof(ApiTests))]
public sealed class ReportCallTests(SharedScheduler shared)
{
    private ReportService.ReportServiceClient Reports => new(shared.Scheduler.As(TestScheduler.ViewerToken));

    [Fact]
    public async Task Range_WithoutAWord_IsTheWeekUntilNow_AndNeverLaterThanNow()
    {
        var report = await Reports.GetDeviceHoursAsync(new GetDeviceHoursRequest { End = At(9999) });

        (report.End - report.Begin).ToTimeSpan().ShouldBe(TimeSpan.FromDays(7));
        report.End.ShouldBeLessThan(At(9999));
    }

    [Theory]
    [InlineData(2020, 2019, "give a begin before the end")]
    [InlineData(2019, 2021, "give a range of 366 days at most")]
    [InlineData(9998, 9999, "give a begin before the end, and before now")]
    public async Task Range_ThatCannotBe_IsRefused(int begin, int end, string said)
    {
        var request = new GetDeviceHoursRequest { Begin = At(begin), End = At(end) };

        var refusal = (await Should.ThrowAsync<RpcException>(() => Reports.GetDeviceHoursAsync(request).ResponseAsync)).Status;

        (refusal.StatusCode, refusal.Detail).ShouldBe((StatusCode.InvalidArgument, refusal.Detail));
        refusal.Detail.ShouldContain(said);
    }

    private static Timestamp At(int year) => new DateTimeOffset(year, 1, 1, 0, 0, 0, TimeSpan.Zero).ToTimestamp();
}
