using Cluster.Scheduler.Runs;
using Npgsql;

namespace Cluster.Scheduler.Tests.Runs;

public sealed class RunConditionTests
{
    [Fact]
    public void Condition_BecomesFixedTextAndParameters()
    {
        var (sql, values) = Read("lr > 0.01 and model = 'alexnet'");

        sql.ShouldBe("(s.settings->>$1)::float8 > $2 and (s.settings->>$3) = $4");
        values.ShouldBe(["hyperparameters.optimizer.learningRate", 0.01, "model.name", "alexnet"]);
    }

    /// <summary>Whatever stands between quotes, it is a value.</summary>
    [Theory]
    [InlineData("x'; drop table jobs; --")]
    [InlineData("$1 or true")]
    [InlineData("")]
    public void Text_IsAParameterWhateverItIs(string text)
    {
        var (sql, values) = Read($"name = '{text.Replace("'", "''", StringComparison.Ordinal)}'");

        sql.ShouldBe("j.name = $1");
        values.ShouldBe([text]);
    }

    [Theory]
    [InlineData("not (owner = 'a' or owner='b') and not priority<-1",
        "not (j.owner = $1 or j.owner = $2) and not (j.priority)::float8 < $3")]
    [InlineData("NAME not in ('a','b') AND epochs IN (1, 2.5e0)",
        "j.name not in ($1, $2) and (s.settings->>$3)::float8 in ($4, $5)")]
    [InlineData("testAccuracy is not null or finished is null",
        "(r.progress->>'testAccuracy')::float8 is not null or j.finished_at is null")]
    [InlineData("variant not like '%relu%'", "j.variant not like $1 escape ''")]
    [InlineData("nesterov = true and labels.a-b/c != 'x'", "(s.settings->>$1)::boolean = $2 and (s.settings->>$3) != $4")]
    [InlineData("activation = 'relu' and model.options.width > 1",
        "(s.settings->>$1) = $2 and (s.settings->>$3)::float8 > $4")]
    public void Grammar_IsReadWhole(string where, string sql) => Read(where).Sql.ShouldBe(sql);

    [Fact]
    public void Time_IsReadAsUtc() =>
        Read("created >= '2026-03-01 12:30'").Values.ShouldBe([new DateTime(2026, 3, 1, 12, 30, 0, DateTimeKind.Utc)]);

    [Theory]
    [InlineData("", "where, character 1: it ends here, where a column belongs")]
    [InlineData("lr >", "where, character 5: it ends here, where a number without quotes belongs")]
    [InlineData("lr > '1'", "where, character 6: there is '1', where a number without quotes belongs")]
    [InlineData("owner = me", "where, character 9: there is me, where a text in single quotes belongs")]
    [InlineData("epochs = 1 2", "where, character 12: there is 2, where and, or, or the end belongs")]
    [InlineData("epochs 1", "where, character 8: there is 1, where a comparison such as = or > belongs")]
    [InlineData("(epochs = 1", "where, character 12: it ends here, where ) belongs")]
    [InlineData("name = 'abc", "where, character 8: a quote begins here and does not end")]
    [InlineData("name = \"abc\"", "where, character 8: texts stand in single quotes")]
    [InlineData("epochs = 1; 2", "where, character 11: ';' means nothing here")]
    [InlineData("nesterov = 1", "where, character 12: there is 1, where true or false belongs")]
    [InlineData("created > 'soon'",
        "where, character 11: there is 'soon', where a time such as '2026-03-01' or '2026-03-01 12:30' belongs")]
    [InlineData("epochs like '1'", "where, character 8: like compares texts, and this column holds none; compare it with = or <")]
    [InlineData("epochs = 1 and learningRat > 1", "where, character 16: there is no column 'learningRat'; did you mean learningRate?")]
    [InlineData("zzzzzzzz = 1",
        "where, character 1: there is no column 'zzzzzzzz'; give a path of a job file, or a figure such as accuracy")]
    public void Fault_IsToldWithItsPlaceAndRemedy(string where, string said) =>
        Should.Throw<FormatException>(() => Read(where)).Message.ShouldBe(said);

    [Theory]
    [InlineData("lr", "hyperparameters.optimizer.learningRate")]
    [InlineData("LearningRate", "hyperparameters.optimizer.learningRate")]
    [InlineData("model", "model.name")]
    [InlineData("data", "data.name")]
    [InlineData("optimizer", "hyperparameters.optimizer.name")]
    [InlineData("devices", "resources.devices")]
    [InlineData("mesh.model", "mesh.model")]
    [InlineData("labels.team", "labels.team")]
    [InlineData("labels", "data.labels")]
    public void Column_IsASettingByItsPathOrItsEnd(string column, string path) =>
        Read($"{column} is null").Values.ShouldBe([path]);

    [Fact]
    public void Brackets_DeeperThanAnyoneWrites_AreRefused()
    {
        var where = new string('(', 900) + "epochs = 1" + new string(')', 900);

        Should.Throw<FormatException>(() => Read(where)).Message.ShouldBe(
            "where, character 51: this lies deeper than 50 brackets and nots; write it flatter");
    }

    /// <summary>However the text is cut, it is read or refused in words.</summary>
    [Fact]
    public void AnyPrefix_IsReadOrRefusedInWords()
    {
        const string Where =
            "not (lr >= 1.5e-3 or name like 'it''s %') and created < '2026-01-01' and nesterov = true and owner in ('a', 'b')";
        for (var length = 0; length < Where.Length; length++)
        {
            try
            {
                Read(Where[..length]);
            }
            catch (FormatException refusal)
            {
                refusal.Message.ShouldStartWith("where, character ");
            }
        }

        Read(Where).Values.Count.ShouldBe(8);
    }

    private static (string Sql, List<object?> Values) Read(string where)
    {
        var parameters = new SqlParameters();
        var sql = RunCondition.Read(where, parameters);
        using var command = new NpgsqlCommand();
        parameters.AddTo(command);
        return (sql, [.. command.Parameters.Select(parameter => parameter.Value)]);
    }
}
