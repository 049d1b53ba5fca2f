using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Collections.ObjectModel;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Orleans.Serialization;

/// <summary>Copiers of the framework's collections and tuples.</summary>
internal static class CollectionCopiers
{
    // Each rebuilds a collection from its copied items; the original is passed for its comparer.
    private static readonly Dictionary<Type, string> Sequences = new()
    {
        [typeof(List<>)] = nameof(ToList),
        [typeof(HashSet<>)] = nameof(ToHashSet),
        [typeof(SortedSet<>)] = nameof(ToSortedSet),
        [typeof(Queue<>)] = nameof(ToQueue),
        [typeof(Stack<>)] = nameof(ToStack),
        [typeof(ReadOnlyCollection<>)] = nameof(ToReadOnlyCollection),
        [typeof(ImmutableArray<>)] = nameof(ToImmutableArray),
        [typeof(ImmutableList<>)] = nameof(ToImmutableList),
        [typeof(ImmutableHashSet<>)] = nameof(ToImmutableHashSet),
        [typeof(ImmutableSortedSet<>)] = nameof(ToImmutableSortedSet),
        [typeof(FrozenSet<>)] = nameof(ToFrozenSet),
    };

    private static readonly Dictionary<Type, string> Maps = new()
    {
        [typeof(Dictionary<,>)] = nameof(ToDictionary),
        [typeof(SortedDictionary<,>)] = nameof(ToSortedDictionary),
        [typeof(ReadOnlyDictionary<,>)] = nameof(ToReadOnlyDictionary),
        [typeof(ImmutableDictionary<,>)] = nameof(ToImmutableDictionary),
        [typeof(ImmutableSortedDictionary<,>)] = nameof(ToImmutableSortedDictionary),
        [typeof(FrozenDictionary<,>)] = nameof(ToFrozenDictionary),
    };

    private static readonly HashSet<Type> Plain =
    [
        typeof(KeyValuePair<,>),
        typeof(Tuple<>), typeof(Tuple<,>), typeof(Tuple<,,>), typeof(Tuple<,,,>), typeof(Tuple<,,,,>), typeof(Tuple<,,,,,>), typeof(Tuple<,,,,,,>),
        typeof(Tuple<,,,,,,,>),
        typeof(ValueTuple<>), typeof(ValueTuple<,>), typeof(ValueTuple<,,>), typeof(ValueTuple<,,,>), typeof(ValueTuple<,,,,>),
        typeof(ValueTuple<,,,,,>), typeof(ValueTuple<,,,,,,>), typeof(ValueTuple<,,,,,,,>),
    ];

    public static TypeCopier? Find(Type type)
    {
        if (type == typeof(ValueTuple))
            return SameCopier.Instance;
        if (type.IsSZArray)
            return (TypeCopier)Activator.CreateInstance(typeof(ArrayCopier<>).MakeGenericType(type.GetElementType()!))!;
        for (var level = type; level is { IsGenericType: true }; level = level.BaseType)
        {
            var definition = level.GetGenericTypeDefinition();
            // Frozen collections are always instances of private subclasses; a subclass of any other is the application's own type.
            if (level != type && definition != typeof(FrozenSet<>) && definition != typeof(FrozenDictionary<,>))
                continue;
            var arguments = level.GetGenericArguments();
            if (Plain.Contains(definition))
                return new FieldwiseCopier(type);
            if (Sequences.TryGetValue(definition, out var build))
                return Sequence(build, arguments, arguments[0]);
            if (Maps.TryGetValue(definition, out build))
                return Sequence(build, arguments, typeof(KeyValuePair<,>).MakeGenericType(arguments));
        }

        return null;
    }

    private static TypeCopier Sequence(string build, Type[] arguments, Type item)
    {
        var method = typeof(CollectionCopiers).GetMethod(build, BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(arguments);
        var builder = method.CreateDelegate(typeof(Func<,,>).MakeGenericType(typeof(object), item.MakeArrayType(), typeof(object)));
        return (TypeCopier)Activator.CreateInstance(typeof(SequenceCopier<>).MakeGenericType(item), builder)!;
    }

    private static object ToList<T>(object original, T[] items) => new List<T>(items);

    private static object ToHashSet<T>(object original, T[] items) => new HashSet<T>(items, Checked(((HashSet<T>)original).Comparer, EqualityComparer<T>.Default));

    private static object ToSortedSet<T>(object original, T[] items) => new SortedSet<T>(items, Checked(((SortedSet<T>)original).Comparer, Comparer<T>.Default));

    private static object ToQueue<T>(object original, T[] items) => new Queue<T>(items);

    private static object ToStack<T>(object original, T[] items) => new Stack<T>(items.AsEnumerable().Reverse());

    private static object ToReadOnlyCollection<T>(object original, T[] items) => new ReadOnlyCollection<T>(items);

    private static object ToImmutableArray<T>(object original, T[] items) => ImmutableArray.Create(items);

    private static object ToImmutableList<T>(object original, T[] items) => ImmutableList.Create(items);

    private static object ToImmutableHashSet<T>(object original, T[] items) =>
        ImmutableHashSet.Create(Checked(((ImmutableHashSet<T>)original).KeyComparer, EqualityComparer<T>.Default), items);

    private static object ToImmutableSortedSet<T>(object original, T[] items) =>
        ImmutableSortedSet.Create(Checked(((ImmutableSortedSet<T>)original).KeyComparer, Comparer<T>.Default), items);

    private static object ToFrozenSet<T>(object original, T[] items) => items.ToFrozenSet(Checked(((FrozenSet<T>)original).Comparer, EqualityComparer<T>.Default));

    private static object ToDictionary<TKey, TValue>(object original, KeyValuePair<TKey, TValue>[] items)
        where TKey : notnull =>
        new Dictionary<TKey, TValue>(items, Checked(((Dictionary<TKey, TValue>)original).Comparer, EqualityComparer<TKey>.Default));

    private static object ToSortedDictionary<TKey, TValue>(object original, KeyValuePair<TKey, TValue>[] items)
        where TKey : notnull =>
        new SortedDictionary<TKey, TValue>(items.ToDictionary(), Checked(((SortedDictionary<TKey, TValue>)original).Comparer, Comparer<TKey>.Default));

    private static object ToReadOnlyDictionary<TKey, TValue>(object original, KeyValuePair<TKey, TValue>[] items)
        where TKey : notnull =>
        new ReadOnlyDictionary<TKey, TValue>(items.ToDictionary());

    private static object ToImmutableDictionary<TKey, TValue>(object original, KeyValuePair<TKey, TValue>[] items)
        where TKey : notnull =>
        items.ToImmutableDictionary(Checked(((ImmutableDictionary<TKey, TValue>)original).KeyComparer, EqualityComparer<TKey>.Default));

    private static object ToImmutableSortedDictionary<TKey, TValue>(object original, KeyValuePair<TKey, TValue>[] items)
        where TKey : notnull =>
        items.ToImmutableSortedDictionary(Checked(((ImmutableSortedDictionary<TKey, TValue>)original).KeyComparer, Comparer<TKey>.Default));

    private static object ToFrozenDictionary<TKey, TValue>(object original, KeyValuePair<TKey, TValue>[] items)
        where TKey : notnull =>
        items.ToFrozenDictionary(Checked(((FrozenDictionary<TKey, TValue>)original).Comparer, EqualityComparer<TKey>.Default));

    // A comparer is code; only those that every process has can travel.
    private static TComparer Checked<TComparer>(TComparer comparer, TComparer everyones)
        where TComparer : class =>
        comparer is StringComparer || comparer.Equals(everyones)
            ? comparer
            : throw new CodecNotFoundException(
                $"{comparer.GetType()} cannot cross a grain call: a collection with a comparer of one's own cannot be rebuilt elsewhere.");
}

/// <summary>Arrays; those of leaf values by one block copy.</summary>
internal sealed class ArrayCopier<T> : TypeCopier
{
    private static readonly bool Leaf = LeafTypes.Contains(typeof(T)) && typeof(T) != typeof(object);

    public override object Copy(object original, CopyContext context) => CopyItems((T[])original, context);

    public static T[] CopyItems(T[] source, CopyContext context)
    {
        if (Leaf)
            return (T[])source.Clone();
        var copy = new T[source.Length];
        for (var i = 0; i < source.Length; i++)
            copy[i] = (T)context.Copy(source[i])!;
        return copy;
    }
}

/// <summary>Collections that are rebuilt from their items.</summary>
internal sealed class SequenceCopier<T>(Func<object, T[], object> build) : TypeCopier
{
    public override object Copy(object original, CopyContext context)
    {
        if (original is ImmutableArray<T> { IsDefault: true })
            return original;
        var items = ((IEnumerable<T>)original).ToArray();
        return build(original, ArrayCopier<T>.CopyItems(items, context));
    }
}

/// <summary>Tuples and pairs.</summary>
internal sealed class FieldwiseCopier(Type type) : TypeCopier
{
    private readonly FieldInfo[] _fields = type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);

    public override object Copy(object original, CopyContext context)
    {
        var copy = RuntimeHelpers.GetUninitializedObject(type);
        AnnotatedTypeCopier.CopyFields(_fields, original, copy, context);
        return copy;
    }
}
