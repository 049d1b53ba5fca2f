using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Tests.Fixtures;
using CsCheck;

namespace Cluster.Scheduler.Tests.Runs;

public sealed class CurveStoreTests(PostgresServer postgres)
{
    // Of a stored series, so that a few hundred points are many.
    private const int RolledPoints = 48;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>
    /// Whatever came in whatever order, was taken back or repeated, and whenever it was rolled up: the points that count make the curve.
    /// </summary>
    [Fact]
    public async Task Curve_OfAnyHistory_IsTheOneThatAllOfItsPointsMake()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var step = Gen.Select(Gen.Int[0, 9], Gen.Int[0, 400], Gen.Int[1, 60], Gen.Int[1, 3], Gen.Int[0, 6]);
        await step.Array[1, 14].SampleAsync(async steps =>
        {
            var run = new WrittenRun(cluster, await cluster.SubmitAsync(waitForCapacity: true));
            foreach (var (what, at, count, stride, kind) in steps)
            {
                if (what <= 6)
                    await run.ReportAsync(name: what % 2 == 0 ? "a" : "b", isAnywhere: what == 6, at, count, stride, kind);
                else if (what == 7)
                    await run.RestartAsync(at);
                else
                    await cluster.Get<CurveStore>().RollUpAsync(run.Job, Token, RolledPoints);
            }

            foreach (var maxPoints in new[] { Curve.FewestPoints, 17, RolledPoints })
            {
                var read = await cluster.Get<CurveStore>().ReadAsync(run.Job, [], maxPoints, Token);
                foreach (var name in new[] { "a", "b" })
                {
                    var shown = read.Series.TryGetValue(name, out var curve) ? Shown(curve.Points) : [];
                    shown.ShouldBe(Shown(Reference(run.History(name), maxPoints)));
                    shown.Count.ShouldBeLessThanOrEqualTo(maxPoints);
                }
            }

            var only = await cluster.Get<CurveStore>().ReadAsync(run.Job, ["b"], RolledPoints, Token);
            Shown(only.Series.GetValueOrDefault("b")?.Points ?? []).ShouldBe(Shown(Reference(run.History("b"), RolledPoints)));
            only.Series.Keys.ShouldNotContain("a");
            var all = await cluster.Get<MetricStore>().ReadAsync(run.Job, ["a"], 0, 0, Token).ToListAsync(Token);
            all.SelectMany(page => page.Points).Select(point => (point.Step, point.Value))
                .ShouldBe(run.History("a").Select(point => (point.X, point.Y)));
        }, iter: 60, threads: 1);

        static List<(long, double, int)> Shown(IEnumerable<CurvePoint> points) => [.. points.Select(p => (p.X, p.Y, p.Epoch))];
    }

    [Fact]
    public async Task Curve_OfALongSeries_OnceRolledUp_IsMadeWithoutItsPoints()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await cluster.SubmitAsync(waitForCapacity: true);
        await TestDatabase.ExecuteAsync(cluster, $"""
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value, stored_at)
            select '{job}', 1, 0, 'train/loss', step, 1, '{cluster.Time.GetUtcNow():o}',
                case step when 33333 then 'NaN' when 77777 then 'Infinity' when 77778 then '-Infinity' else sin(step / 1000.0) end,
                '{cluster.Time.GetUtcNow():o}'
            from generate_series(1, 100000) step
            """);
        var curves = cluster.Get<CurveStore>();
        var before = await curves.ReadAsync(job, [], CurveStore.MostPoints, Token);
        await curves.RollUpAsync(job, Token);

        await TestDatabase.ExecuteAsync(cluster, "delete from metrics where step < 99000");
        var after = await curves.ReadAsync(job, [], CurveStore.MostPoints, Token);

        after.Cursor.ShouldBe(before.Cursor);
        var points = after.Series["train/loss"].Points.ToList();
        points.ShouldBe(before.Series["train/loss"].Points);
        points.Count.ShouldBeInRange(2000, CurveStore.MostPoints);
        points.Select(point => (point.X, point.Y)).ShouldContain((33_333L, double.NaN));
        points.Select(point => (point.X, point.Y)).ShouldContain((77_777L, double.PositiveInfinity));
        points.Select(point => (point.X, point.Y)).ShouldContain((77_778L, double.NegativeInfinity));
        (await curves.ReadAsync(job, ["train/loss"], 600, Token)).Series["train/loss"].Points.Count().ShouldBeInRange(100, 600);
        // Who asks for all points gets what is left of them, and before those what is kept.
        var all = await cluster.Get<MetricStore>().ReadAsync(job, [], 0, 0, Token).ToListAsync(Token);
        all.SelectMany(page => page.Points).Select(point => point.Step).ShouldBe(
            points.Select(point => point.X).Where(step => step < 99_000).Concat(Enumerable.Range(99_000, 1001).Select(step => (long)step)));
    }

    /// <summary>The same in the plainest way.</summary>
    private static IEnumerable<CurvePoint> Reference(List<CurvePoint> history, int maxPoints)
    {
        for (var shift = 0; ; shift++)
        {
            var buckets = history.GroupBy(point => point.X >> shift).ToList();
            if ((shift == 0 ? 1 : 6) * buckets.Count > maxPoints)
                continue;
            return buckets.SelectMany(points =>
            {
                var finite = points.Where(point => double.IsFinite(point.Y)).OrderBy(point => point.X).ToList();
                CurvePoint?[] kept =
                [
                    points.MaxBy(point => point.X),
                    finite.Count == 0 ? null : finite.First(point => point.Y == finite.Min(p => p.Y)),
                    finite.Count == 0 ? null : finite.First(point => point.Y == finite.Max(p => p.Y)),
                    .. points.Where(point => !double.IsFinite(point.Y)).GroupBy(point => point.Y)
                        .Select(same => (CurvePoint?)same.MinBy(point => point.X)),
                ];
                return kept.OfType<CurvePoint>().DistinctBy(point => point.X).OrderBy(point => point.X);
            });
        }
    }

    /// <summary>A run's points as its trainers would write them, and what of them counts.</summary>
    private sealed class WrittenRun(TestCluster cluster, JobId job)
    {
        private readonly List<(string Name, int Attempt, int Rank, CurvePoint Point)> _written = [];
        private readonly List<long> _resumes = [];
        private readonly Dictionary<string, int> _next = [];

        public JobId Job => job;

        public async Task ReportAsync(string name, bool isAnywhere, int at, int count, int stride, int kind)
        {
            if (_resumes.Count == 0)
                await RestartAsync(0);
            var (first, rank) = isAnywhere ? (1 + at, at % 2) : (_next.GetValueOrDefault(name, 1), 0);
            var points = Enumerable.Range(0, count).Select(i => first + (i * stride)).Select(step => new CurvePoint(
                step, Value(step, kind), 1 + (step / 100), cluster.Time.GetUtcNow().UtcDateTime, _resumes.Count)).ToList();
            _next[name] = Math.Max(_next.GetValueOrDefault(name, 1), first + (count * stride));
            _written.AddRange(points.Select(point => (name, _resumes.Count, rank, point)));
            var rows = points.Select(point => string.Create(
                CultureInfo.InvariantCulture,
                $"('{job}', {point.Attempt}, {rank}, '{name}', {point.X}, {point.Epoch}, now(), '{point.Y}', '{point.Time:o}')"));
            await TestDatabase.ExecuteAsync(
                cluster,
                "insert into metrics (job_id, attempt, rank, name, step, epoch, time, value, stored_at) values " + string.Join(", ", rows));
        }

        public async Task RestartAsync(int at)
        {
            var reached = _next.Values.DefaultIfEmpty(1).Max();
            _resumes.Add(at % reached);
            foreach (var name in _next.Keys.ToList())
                _next[name] = (int)_resumes[^1] + 1;
            await TestDatabase.ExecuteAsync(cluster, $"""
                insert into attempts (job_id, number, secret_hash, state, world_size, resume_step, created_at, reason, launch_failed)
                values ('{job}', {_resumes.Count}, '', 'Ended', 2, {_resumes[^1]}, '{cluster.Time.GetUtcNow():o}', '', false)
                """);
        }

        public List<CurvePoint> History(string name) =>
        [
            .. from written in _written
               where written.Name == name && _resumes.Skip(written.Attempt).All(resume => written.Point.X <= resume)
               group written by written.Point.X into same
               orderby same.Key
               // Of equals the last.
               select same.Reverse().OrderByDescending(w => w.Attempt).ThenBy(w => w.Rank).First().Point,
        ];

        private static double Value(int step, int kind) => (step * 7 % (11 + kind)) switch
        {
            0 when kind > 3 => double.NaN,
            1 when kind > 4 => double.PositiveInfinity,
            2 when kind > 5 => double.NegativeInfinity,
            var value => value / 4.0,
        };
    }
}
