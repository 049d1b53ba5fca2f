using System.Globalization;
using System.Text.RegularExpressions;

namespace Cluster.Scheduler.Runs;

/// <summary>A condition over runs as people write it, read into SQL of fixed pieces whose values are all parameters.</summary>
/// <remarks>
/// or: and {"or" and}. and: not {"and" not}. not: "not" not, or "(" or ")", or a test. A test: column operator value; column ["not"] "in"
/// "(" value {"," value} ")"; column ["not"] "like" text; column "is" ["not"] "null".
/// </remarks>
internal sealed partial class RunCondition
{
    /// <summary>Nobody writes deeper ones by hand.</summary>
    private const int DeepestNesting = 50;

    private const int Patience = 30_000; // ms of a match, on a machine that has other things to do

    private readonly List<Token> _tokens;
    private readonly SqlParameters _parameters;
    private int _next;
    private int _depth;

    private RunCondition(string text, SqlParameters parameters) => (_tokens, _parameters) = (Tokens(text), parameters);

    private Token Next => _tokens[_next];

    /// <param name="parameters">What the condition's values are added to.</param>
    /// <exception cref="FormatException">It is none; the message says at which character that shows, from 1.</exception>
    public static string Read(string text, SqlParameters parameters)
    {
        var reading = new RunCondition(text, parameters);
        var sql = reading.Or();
        return reading.Next.Kind == TokenKind.End ? sql : throw reading.Expected("and, or, or the end");
    }

    private string Or()
    {
        var sql = And();
        while (Takes("or"))
            sql = $"{sql} or {And()}";
        return sql;
    }

    private string And()
    {
        var sql = Not();
        while (Takes("and"))
            sql = $"{sql} and {Not()}";
        return sql;
    }

    private string Not()
    {
        if (++_depth > DeepestNesting)
            throw Fault(Next, $"this lies deeper than {DeepestNesting} brackets and nots; write it flatter");
        var sql = Takes("not") ? $"not {Not()}" : TakesSign("(") ? $"({Closed(Or())})" : Test();
        _depth--;
        return sql;
    }

    private string Closed(string sql)
    {
        Take(")");
        return sql;
    }

    private string Test()
    {
        var column = Column();
        if (Takes("is"))
            return $"{column.Sql} is {Negation()}{(Takes("null") ? "null" : throw Expected("null"))}";
        var negation = Negation();
        if (Takes("like"))
            return $"{column.Sql} {negation}like {Text(column)} escape ''";
        if (Takes("in"))
            return $"{column.Sql} {negation}in ({Values(column)})";
        if (negation.Length > 0)
            throw Expected("like or in");
        return $"{column.Sql} {Operator()} {Value(column)}";
    }

    private string Negation() => Takes("not") ? "not " : "";

    private (RunColumn Of, string Sql) Column()
    {
        var token = Next.Kind is TokenKind.Word ? Advance() : throw Expected("a column");
        try
        {
            var column = RunColumns.Find(token.Text);
            return (column, column.Sql(_parameters));
        }
        catch (FormatException unknown)
        {
            throw Fault(token, unknown.Message);
        }
    }

    private string Operator() => Next is { Kind: TokenKind.Sign, Text: "=" or "!=" or "<>" or "<" or "<=" or ">" or ">=" }
        ? Advance().Text
        : throw Expected("a comparison such as = or >");

    private string Values((RunColumn Of, string Sql) column)
    {
        Take("(");
        var values = new List<string> { Value(column) };
        while (TakesSign(","))
            values.Add(Value(column));
        return Closed(string.Join(", ", values));
    }

    private string Text((RunColumn Of, string Sql) column) => column.Of.Kind == RunColumnKind.Text
        ? Value(column)
        : throw Fault(_tokens[_next - 1], "like compares texts, and this column holds none; compare it with = or <");

    private string Value((RunColumn Of, string Sql) column) => column.Of.Kind switch
    {
        RunColumnKind.Number when Next.Kind == TokenKind.Number => Accept(ReadNumber(Next.Text)),
        RunColumnKind.Number => throw Expected("a number without quotes"),
        RunColumnKind.Flag when IsWord("true") || IsWord("false") => Accept(IsWord("true")),
        RunColumnKind.Flag => throw Expected("true or false"),
        RunColumnKind.Time when Next.Kind == TokenKind.Text && ReadTime(Next.Text) is { } time => Accept(time),
        RunColumnKind.Time => throw Expected("a time such as '2026-03-01' or '2026-03-01 12:30'"),
        _ when Next.Kind == TokenKind.Text => Accept(Next.Text),
        _ => throw Expected("a text in single quotes"),
    };

    private string Accept<T>(T value)
    {
        _next++;
        return _parameters.Add(value);
    }

    private static double ReadNumber(string text) => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);

    private static DateTime? ReadTime(string text) => DateTimeOffset.TryParse(
        text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time.UtcDateTime : null;

    private bool Takes(string word)
    {
        if (!IsWord(word))
            return false;
        _next++;
        return true;
    }

    private bool TakesSign(string sign)
    {
        if (Next.Kind != TokenKind.Sign || Next.Text != sign)
            return false;
        _next++;
        return true;
    }

    private void Take(string sign)
    {
        if (!TakesSign(sign))
            throw Expected(sign);
    }

    private bool IsWord(string word) => Next.Kind == TokenKind.Word && Next.Text.Equals(word, StringComparison.OrdinalIgnoreCase);

    private Token Advance() => _tokens[_next++];

    private FormatException Expected(string what) =>
        Fault(Next, $"{(Next.Kind == TokenKind.End ? "it ends here" : $"there is {Next.Written}")}, where {what} belongs");

    private static FormatException Fault(Token at, string message) =>
        new(string.Create(CultureInfo.InvariantCulture, $"where, character {at.At + 1}: {message}"));

    private static List<Token> Tokens(string text)
    {
        var tokens = new List<Token>();
        var at = 0;
        while (true)
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
                at++;
            if (at == text.Length)
                break;
            var match = TokenPattern().Match(text, at);
            var kind = match.Groups["word"].Success ? TokenKind.Word
                : match.Groups["number"].Success ? TokenKind.Number
                : match.Groups["sign"].Success ? TokenKind.Sign
                : TokenKind.Text;
            var token = new Token(kind, kind == TokenKind.Text ? Unquoted(match.Value) : match.Value, match.Value, at);
            tokens.Add(match.Success ? token : throw Fault(token, text[at] switch
            {
                '\'' => "a quote begins here and does not end",
                '"' => "texts stand in single quotes",
                _ => $"'{text[at]}' means nothing here",
            }));
            at += match.Length;
        }

        tokens.Add(new Token(TokenKind.End, "", "", text.Length));
        return tokens;
    }

    private static string Unquoted(string quoted) => quoted.Length < 2 ? "" : quoted[1..^1].Replace("''", "'", StringComparison.Ordinal);

    // A word may hold what names of labels hold.
    [GeneratedRegex(
        @"\G(?:(?<word>[A-Za-z_][\w./-]*)|(?<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?<sign><=|>=|<>|!=|[=<>(),])"
            + @"|'(?:[^']|'')*')",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, Patience)]
    private static partial Regex TokenPattern();

    private enum TokenKind
    {
        Word,
        Number,
        Text,
        Sign,
        End,
    }

    /// <param name="Text">What it means: of a text what stands between its quotes.</param>
    /// <param name="Written">As it was written.</param>
    /// <param name="At">From 0.</param>
    private sealed record Token(TokenKind Kind, string Text, string Written, int At);
}
